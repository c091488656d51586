package demo

import (
	"fmt"

	"github.com/gimbal-ml/gimbal/report"
)

// Page tells the story as a report; generated is its footer.
func (s *Story) Page(generated string) *report.Page {
	kept := report.Table{Title: "What was promised, and what came of it", Columns: []report.Column{{Title: "kept"}, {Title: "measured"}}}
	broken := 0
	for _, p := range s.Promises() {
		word := "yes"
		if !p.Kept {
			word = "no"
			broken++
		}
		kept.Rows = append(kept.Rows, []report.Cell{report.Words(word), report.Words(p.Text)})
	}
	verdict := report.Notice{State: report.Good, Body: "Every promise was kept."}
	if broken > 0 {
		verdict = report.Notice{State: report.Bad, Body: fmt.Sprintf("**%d** of %d promises were not kept.", broken, len(kept.Rows))}
	}
	model, calibration := s.Guard.Rows()
	sections := []report.Section{{
		Title: "The story",
		Lead: fmt.Sprintf("An invented script of %d signs, seen through a frozen network of %d features that was pre-trained on fractals and never saw it. A guard learned %d of the signs from %d rows, and keeps %d more to calibrate. Then a stream came: clean, damaged step by step, and at last with signs that it had never seen.",
			known+novel, s.features, known, model, calibration),
		Blocks: []report.Block{verdict, kept},
	}, s.phases()}
	sections = append(sections, s.Run.Sections()...)
	sections = append(sections, s.lesson(), s.withdrawal(), s.Guard.About())
	return &report.Page{
		Title:     "Gimbal at work",
		Subtitle:  fmt.Sprintf("The main job on data made by the program itself, seed %d", s.Seed),
		Generated: generated,
		Sections:  sections,
	}
}

func (s *Story) phases() report.Section {
	bars := report.Bars{
		Title:   "What was accepted, and what of it was right",
		Caption: "As damage grows, rows are refused rather than labelled wrong: accuracy is that of accepted rows.",
		X:       report.Axis{Label: "share of rows", Percent: true, Cover: []float64{0, 1}},
	}
	for _, p := range s.Phases {
		bars.Values = append(bars.Values, report.Bar{Row: p.Name, Series: "accepted", Value: float64(p.Accepted) / float64(p.Rows)})
		if p.familiar && p.Accepted > 0 {
			bars.Values = append(bars.Values, report.Bar{Row: p.Name, Series: "right among accepted", Value: float64(p.Right) / float64(p.Accepted)})
		}
	}
	return report.Section{Title: "Clean, damaged, new", Blocks: []report.Block{bars}}
}

func (s *Story) lesson() report.Section {
	return report.Section{
		Title: "Five labels teach a class",
		Lead:  fmt.Sprintf("Then %d labelled rows of each new sign were taught. Nothing was trained again: the rows joined the exact state.", lessonRows),
		Blocks: []report.Block{report.KeyFigures{
			{Label: "new signs, labelled right", Value: fmt.Sprintf("%.1f %%", 100*s.NewAfter), Note: fmt.Sprintf("of %d fresh rows; before the lesson %.1f %% were accepted", testRows*novel, 100*s.NewBefore)},
			{Label: "old signs, labelled right", Value: fmt.Sprintf("%.2f %%", 100*s.OldAfter), Note: fmt.Sprintf("of %d fresh rows; %.2f %% before", testRows*known, 100*s.OldBefore)},
		}},
	}
}

func (s *Story) withdrawal() report.Section {
	state, word := report.Good, "The two are the same guard, to the bit."
	if s.HashForgot != s.HashNeverSaw {
		state, word = report.Bad, "The two differ."
	}
	return report.Section{
		Title: "A customer withdraws",
		Lead:  fmt.Sprintf("The %d rows of one customer were forgotten, and another guard was fitted that never saw them.", s.Withdrawn),
		Blocks: []report.Block{
			report.Code{Command: "sha256 after forgetting", Output: s.HashForgot},
			report.Code{Command: "sha256 of the fit that never saw them", Output: s.HashNeverSaw},
			report.Notice{State: state, Body: word},
		},
	}
}
