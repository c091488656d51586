// Package report turns results into one self-contained HTML file, SVG pictures and terminal text. It is the only package that draws.
//
// A caller builds a [Page] of [Section]s, each with a list of blocks, and renders it:
//
//	page := &report.Page{Title: "Drift report", Sections: []report.Section{{
//		Title:  "What happened",
//		Blocks: []report.Block{report.Text("The stream changed at row **5 120**."), report.Line{…}},
//	}}}
//	err := page.HTML(file)      // one file: no network, no fonts, light and dark, phone and paper
//	err = page.Text(os.Stdout, 80)
//
// Blocks that hold words and numbers: [Text], [Notice], [KeyFigures], [Table], [Code].
// Blocks that draw, each also a [Plot] with an SVG of its own: [Line], [Histogram], [Intervals], [Bars], [Heatmap], [Scatter].
//
// Three laws hold for all of them. Equal input gives equal bytes: no clock, no map order, fixed number formats.
// A number that is not finite is refused with [ErrFinite], naming section, block and series, before a byte is written.
// All text is data: it is escaped for HTML and SVG, and control characters never reach a terminal.
//
// Floor 5.5: it may be imported by guard, claims and cli, and imports the standard library only.
package report
