package cli

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gimbal-ml/gimbal/metric"
)

// column is one column of a listing.
type column struct {
	name    string // JSON field and tab-separated heading: lower case, words joined by _
	title   string // on a terminal; empty stands for the name in capitals
	percent bool   // a fraction that a terminal shows in percent
	spare   bool   // left out on a terminal that is too narrow
}

// columns makes columns that need no more than a name.
func columns(names ...string) []column {
	list := make([]column, len(names))
	for i, n := range names {
		list[i].name = n
	}
	return list
}

// listing is a table of results. Cells are strings, bools, ints, float64s, lists of strings, [metric.Estimate]s, or nil
// for nothing to tell.
type listing struct {
	columns []column
	rows    [][]any
}

func (l *listing) add(cells ...any) { l.rows = append(l.rows, cells) }

// print writes a listing to standard output: aligned on a terminal, tab-separated in a pipe, an array of objects with --json.
// In the latter two an estimate is three columns, or an object, of fractions; a terminal shows it short.
func (e *env) print(l *listing) error {
	e.clearProgress()
	out := bufio.NewWriter(e.stdout)
	var err error
	switch {
	case e.json:
		err = l.writeJSON(out)
	case e.outTerminal:
		l.writeAligned(out, e.width)
	default:
		l.writeTabs(out)
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

func (l *listing) writeJSON(out io.Writer) error {
	list := make([]object, len(l.rows))
	for i, row := range l.rows {
		for j, cell := range row {
			list[i] = append(list[i], field{l.columns[j].name, cell})
		}
	}
	return writeJSON(out, list)
}

func (l *listing) writeTabs(out *bufio.Writer) {
	var head []string
	for j, c := range l.columns {
		head = append(head, c.name)
		if l.estimates(j) {
			head = append(head, c.name+"_low", c.name+"_high")
		}
	}
	fmt.Fprintln(out, strings.Join(head, "\t"))
	for _, row := range l.rows {
		var cells []string
		for j, cell := range row {
			if l.estimates(j) {
				v, ok := cell.(metric.Estimate)
				if !ok {
					cells = append(cells, "", "", "")
					continue
				}
				cells = append(cells, plain(v.Value), plain(v.Low), plain(v.High))
				continue
			}
			cells = append(cells, plain(cell))
		}
		fmt.Fprintln(out, strings.Join(cells, "\t"))
	}
}

// estimates reports whether a column holds estimates: three columns when tab-separated, also where a row has none.
func (l *listing) estimates(j int) bool {
	for _, row := range l.rows {
		if _, ok := row[j].(metric.Estimate); ok {
			return true
		}
	}
	return false
}

// writeAligned writes for a terminal; estimates are shortened to value ± half-width when the lines would be too long.
func (l *listing) writeAligned(out *bufio.Writer, width int) { l.align(out, width, true) }

func (l *listing) align(out *bufio.Writer, width int, head bool) {
	cells, right := l.words(pretty)
	if lineWidth(cells)+narrowest > width {
		cells, right = l.words(short)
	}
	for j := len(l.columns) - 1; j >= 0 && lineWidth(cells)+narrowest > width; j-- {
		if l.columns[j].spare {
			right = slices.Delete(right, j, j+1)
			for i := range cells {
				cells[i] = slices.Delete(cells[i], j, j+1)
			}
		}
	}
	if !head {
		cells = cells[1:]
	}
	writeColumns(out, cells, right, width)
}

// words writes all cells as text, headings first, and says which columns are numbers.
func (l *listing) words(write func(any, bool) string) (cells [][]string, right []bool) {
	cells = [][]string{nil}
	for _, c := range l.columns {
		title := c.title
		if title == "" {
			title = strings.ToUpper(strings.ReplaceAll(c.name, "_", " "))
		}
		cells[0] = append(cells[0], title)
	}
	right = make([]bool, len(l.columns))
	for _, row := range l.rows {
		var line []string
		for j, cell := range row {
			line = append(line, write(cell, l.columns[j].percent))
			switch cell.(type) {
			case int, int64, float64, metric.Estimate:
				right[j] = true
			}
		}
		cells = append(cells, line)
	}
	return cells, right
}

// lineWidth is how long the lines get, but for the last column, which can be cut.
func lineWidth(cells [][]string) int {
	sum := 0
	for j := range len(cells[0]) - 1 {
		widest := 0
		for _, line := range cells {
			widest = max(widest, utf8.RuneCountInString(line[j]))
		}
		sum += widest + 2
	}
	return sum
}

// short is pretty with an estimate's wider side in place of its interval.
func short(cell any, percent bool) string {
	v, ok := cell.(metric.Estimate)
	if !ok || math.IsInf(v.Low, 0) || math.IsInf(v.High, 0) {
		return pretty(cell, percent)
	}
	return pretty(v.Value, percent) + " ±" + pretty(max(v.High-v.Value, v.Value-v.Low), percent)
}

// narrowest is the room that the last column, which can be cut, has at least.
const narrowest = 20

// writeColumns aligns cells. What is too wide for the terminal is cut off the last column, never in the middle of a number.
func writeColumns(out *bufio.Writer, cells [][]string, right []bool, width int) {
	widest := make([]int, len(right))
	for _, line := range cells {
		for j, cell := range line {
			widest[j] = max(widest[j], utf8.RuneCountInString(cell))
		}
	}
	last := len(right) - 1
	for _, line := range cells {
		used := 0
		for j, cell := range line {
			pad := widest[j] - utf8.RuneCountInString(cell)
			if j > 0 {
				out.WriteString("  ")
				used += 2
			}
			if j == last && !right[j] {
				out.WriteString(cut(cell, max(width-used, narrowest)))
				break
			}
			if right[j] {
				cell = strings.Repeat(" ", pad) + cell
			} else {
				cell += strings.Repeat(" ", pad)
			}
			out.WriteString(cell)
			used += widest[j]
		}
		out.WriteByte('\n')
	}
}

func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}

// pretty writes a cell for people: four significant digits.
func pretty(cell any, percent bool) string {
	switch v := cell.(type) {
	case nil:
		return "–"
	case float64:
		if percent {
			return strconv.FormatFloat(100*v, 'f', 2, 64)
		}
		return strconv.FormatFloat(v, 'g', 4, 64)
	case metric.Estimate:
		if math.IsInf(v.Low, 0) && math.IsInf(v.High, 0) {
			return pretty(v.Value, percent)
		}
		return fmt.Sprintf("%s [%s, %s]", pretty(v.Value, percent), pretty(v.Low, percent), pretty(v.High, percent))
	case []string:
		if len(v) == 0 {
			return "–"
		}
	case string:
		if v == "" {
			return "–"
		}
	}
	return plain(cell)
}

// plain writes a cell for programs: as many digits as reading it back exactly takes, no tabs or line breaks.
func plain(cell any) string {
	switch v := cell.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case []string:
		return plain(strings.Join(v, " "))
	case string:
		return strings.NewReplacer("\t", " ", "\n", " ", "\r", " ").Replace(v)
	}
	return fmt.Sprint(cell)
}
