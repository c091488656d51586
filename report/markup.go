package report

import "strings"

// span is a piece of marked-up text.
type span struct {
	text string
	kind spanKind
	href string
}

type spanKind int

const (
	spanPlain spanKind = iota
	spanBold
	spanCode
	spanLink
)

// spans reads the inline markup of Text. A sign without its partner stands for itself.
func spans(s string) []span {
	var out []span
	plain := func(t string) {
		if t == "" {
			return
		}
		if n := len(out); n > 0 && out[n-1].kind == spanPlain {
			out[n-1].text += t
			return
		}
		out = append(out, span{text: t})
	}
	for s != "" {
		i := strings.IndexAny(s, "`*[")
		if i < 0 {
			plain(s)
			break
		}
		plain(s[:i])
		s = s[i:]
		found, rest := leadingSpan(s)
		if found.text == "" {
			plain(s[:1])
			s = s[1:]
			continue
		}
		out = append(out, found)
		s = rest
	}
	return out
}

// leadingSpan reads the marked span at the head of s; its text is empty when there is none.
func leadingSpan(s string) (span, string) {
	switch {
	case s[0] == '`':
		if body, rest, ok := strings.Cut(s[1:], "`"); ok {
			return span{text: body, kind: spanCode}, rest
		}
	case strings.HasPrefix(s, "**"):
		if body, rest, ok := strings.Cut(s[2:], "**"); ok {
			return span{text: body, kind: spanBold}, rest
		}
	case s[0] == '[':
		body, rest, ok := strings.Cut(s[1:], "](")
		if !ok || strings.ContainsAny(body, "[]\n") {
			break
		}
		if href, after, ok := strings.Cut(rest, ")"); ok && safeLink(href) {
			return span{text: body, kind: spanLink, href: href}, after
		}
	}
	return span{}, s
}

// safeLink admits web pages and places on this page; no scripts, files or relative paths.
func safeLink(href string) bool {
	if strings.ContainsAny(href, " \t\r\n\"'<>\\`") || clean(href) != href {
		return false
	}
	return strings.HasPrefix(href, "https://") || strings.HasPrefix(href, "http://") || len(href) > 1 && href[0] == '#'
}

// paragraph is a run of text or, when it has items, a list.
type paragraph struct {
	text  string
	items []string
}

// paragraphs splits at empty lines.
func paragraphs(s string) []paragraph {
	var out []paragraph
	for _, block := range strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n\n") {
		block = strings.TrimSpace(block)
		if block == "" {
			continue
		}
		lines := strings.Split(block, "\n")
		p := paragraph{text: strings.Join(lines, " ")}
		for _, line := range lines {
			if item, ok := strings.CutPrefix(strings.TrimSpace(line), "- "); ok {
				p.items = append(p.items, item)
			}
		}
		if len(p.items) != len(lines) {
			p.items = nil
		}
		out = append(out, p)
	}
	return out
}

// inlineHTML renders the inline markup; everything else is escaped.
func inlineHTML(s string) string {
	var b strings.Builder
	for _, sp := range spans(s) {
		text := escape(sp.text)
		switch sp.kind {
		case spanBold:
			text = "<strong>" + text + "</strong>"
		case spanCode:
			text = "<code>" + text + "</code>"
		case spanLink:
			text = `<a href="` + escape(sp.href) + `">` + text + "</a>"
		}
		b.WriteString(text)
	}
	return b.String()
}

// markupHTML renders paragraphs and lists.
func markupHTML(s string) string {
	var b strings.Builder
	for _, p := range paragraphs(s) {
		if p.items == nil {
			b.WriteString("<p>" + inlineHTML(p.text) + "</p>")
			continue
		}
		b.WriteString("<ul>")
		for _, item := range p.items {
			b.WriteString("<li>" + inlineHTML(item) + "</li>")
		}
		b.WriteString("</ul>")
	}
	return b.String()
}

// inlineText drops the signs of the inline markup; a link to the web keeps its address.
func inlineText(s string) string {
	var b strings.Builder
	for _, sp := range spans(s) {
		b.WriteString(clean(sp.text))
		if sp.kind == spanLink && sp.href[0] != '#' {
			b.WriteString(" (" + sp.href + ")")
		}
	}
	return b.String()
}
