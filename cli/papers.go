package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/catalog"
	"github.com/gimbal-ml/gimbal/catalog/bib"
	"github.com/gimbal-ml/gimbal/claims"
	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/digest"
)

type papersOptions struct {
	filter  catalog.Filter
	limit   int
	library string
	add     []string
	watch   []string
	every   time.Duration
}

var (
	paperStates = []string{"runs", "partly", "planned", "cited", "own"}
	paperKinds  = []string{"method", "theory", "study", "data", "survey"}
)

func newPapersCommand(e *env) *cobra.Command {
	o := &papersOptions{}
	cmd := &cobra.Command{
		Use:   "papers [WORDS… | KEY | METHOD]",
		Short: "Find the papers that answer a question, and the methods that run them",
		Long: `Papers lists the papers that the methods come from and those still to be carried. Words, or a whole question, find those that
they describe, best first; the key, the name or a method of one paper shows all of its entry with papers like it. State: runs,
partly (the entry says what is missing), planned, cited (parts of it are used), own (a paper that you added).

Papers of your own are read with --add from JSON lines, BibTeX, or an export of arXiv (Atom, OAI-PMH), kept in the file that
--library or GIMBAL_PAPERS names, and found with the others. --watch looks into folders and at feeds again and again, and adds what is new there.`,
		Example: `  gimbal papers
  gimbal papers my model forgets old classes when I tune it
  gimbal papers --family weights --state planned
  gimbal papers lee2018simple
  gimbal papers --add references.bib --library papers.jsonl
  mkdir -p inbox && gimbal papers --watch inbox --every 0 --library papers.jsonl`,
		ValidArgsFunction: func(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
			var keys []string
			for _, p := range catalog.Papers() {
				keys = append(keys, p.Key)
			}
			return matching(keys, word)
		},
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return runPapers(e, cmd, args, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.filter.Family, "family", "", "only papers of this `FAMILY`")
	f.StringVar(&o.filter.Input, "input", "", "only papers that take this `NOUN`: "+strings.Join(catalog.Nouns, ", "))
	f.StringVar(&o.filter.State, "state", "", "only papers in this `STATE`: runs, partly, planned, cited, own")
	f.StringVar(&o.filter.Kind, "kind", "", "only papers of this `KIND`: method, theory, study, data, survey")
	f.IntVar(&o.filter.Since, "since", 0, "only papers since this `YEAR`")
	f.IntVar(&o.limit, "limit", 0, "at most so many `PAPERS` (default 20 for words, else all)")
	f.StringVar(&o.library, "library", "", "`FILE` of your own papers (default GIMBAL_PAPERS, else gimbal/papers.jsonl in the folder for settings)")
	f.StringSliceVar(&o.watch, "watch", nil, "folders of files and addresses of feeds to add papers from, `PLACES`")
	f.DurationVar(&o.every, "every", time.Hour, "`TIME` between two looks of --watch; 0 looks once")
	f.StringSliceVar(&o.add, "add", nil, "add the papers of these `FILES` to the library")
	for flag, words := range map[string][]string{"family": e.families(), "input": catalog.Nouns, "state": paperStates, "kind": paperKinds} {
		completeFlag(cmd, flag, words)
	}
	return cmd
}

func runPapers(e *env, cmd *cobra.Command, args []string, o *papersOptions) error {
	if o.filter.Input != "" && !slices.Contains(catalog.Nouns, o.filter.Input) {
		return usage(cmd, "--input %q is no noun, have %s", o.filter.Input, strings.Join(catalog.Nouns, ", "))
	}
	if o.filter.State != "" && !slices.Contains(paperStates, o.filter.State) {
		return usage(cmd, "--state %q: have %s", o.filter.State, strings.Join(paperStates, ", "))
	}
	if o.limit < 0 {
		return usage(cmd, "--limit %d is negative", o.limit)
	}
	adds := len(o.add) > 0 || len(o.watch) > 0
	library, _, path, err := e.library(o.library, adds)
	if err != nil {
		return err
	}
	if adds {
		if path == "" {
			return errors.New("there is no folder for settings here: name the library's file with --library")
		}
		s := &shelf{e: e, path: path}
		if len(o.watch) == 0 {
			return s.addPapers(o.add)
		}
		if len(o.add) > 0 {
			return usage(cmd, "--add reads files once, --watch again and again: give one of them")
		}
		return s.watch(cmd.Context(), o.watch, o.every)
	}
	words := strings.Join(args, " ")
	if len(args) == 1 {
		if p, ok := library.Find(words); ok {
			return e.printPaper(library, p)
		}
	}
	limit := o.limit
	switch {
	case limit > 0:
	case words == "":
		limit = library.Len()
	default:
		limit = 20
	}
	found := library.Search(words, o.filter, limit)
	if e.json {
		return writeJSON(e.stdout, append([]catalog.Paper{}, found...))
	}
	l := &listing{columns: []column{{name: "key"}, {name: "year"}, {name: "state"}, {name: "methods"}, {name: "identifier", spare: true}, {name: "title"}, {name: "question", spare: true}}}
	for _, p := range found {
		var year any
		if p.Year > 0 {
			year = p.Year
		}
		var methods any = p.Methods
		if n := len(p.Methods); e.outTerminal && n > 2 {
			methods = fmt.Sprintf("%s and %d more", p.Methods[0], n-1)
		}
		l.add(p.Key, year, p.State, methods, p.Identifier, p.Title, p.Question)
	}
	if len(found) == 0 {
		e.say("no paper is described by %q", cut(words, 60))
	}
	if err := e.print(l); err != nil {
		return err
	}
	if i := slices.IndexFunc(found, func(p catalog.Paper) bool { return len(p.Methods) > 0 }); i >= 0 && words != "" {
		e.say("gimbal papers %s tells all of a paper, gimbal help %s how its method runs", found[i].Key, found[i].Methods[0])
	}
	return nil
}

// library is the catalog with the user's own papers, which are in the file of that name, or where they are by default. A file that
// is named must be there, unless it is to be made.
func (e *env) library(path string, make bool) (l *catalog.Library, own []catalog.Paper, at string, err error) {
	named := true
	if path == "" {
		path = os.Getenv("GIMBAL_PAPERS")
	}
	if path == "" {
		if folder, err := os.UserConfigDir(); err == nil {
			path, named = filepath.Join(folder, "gimbal", "papers.jsonl"), false
		}
	}
	if own, err = e.readPapers(path, named && !make, make); err != nil {
		return nil, nil, "", err
	}
	l = catalog.NewLibrary(catalog.Papers())
	for _, p := range own {
		_ = l.Add(p) // one that the catalog has by now is the catalog's
	}
	return l, own, path, nil
}

// readPapers reads a user's papers; none when the file is not there and nobody named it. Where it must be whole, because it is to
// be written anew, an entry that cannot be read is an error: it would be lost.
func (e *env) readPapers(path string, must, whole bool) ([]catalog.Paper, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && !must {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	papers, problems, err := bib.Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if whole && len(problems) > 0 {
		return nil, fmt.Errorf("%s, %s (mend or remove this entry of the library first: adding papers would lose it)", path, problems[0])
	}
	for _, p := range problems {
		e.say("%s, %s", path, p)
	}
	return papers, nil
}

// shelf gathers papers and adds them to the library's file, with what came of it.
type shelf struct {
	e                    *env
	path                 string
	gathered             []gathered
	papers               int // in the library
	added, known, broken int
}

// gathered is a paper with the file or feed that it was in.
type gathered struct {
	from  string
	paper catalog.Paper
}

// take gathers the papers of a file or a feed. Broken entries are named and the others kept.
func (s *shelf) take(name string, r io.Reader) error {
	papers, problems, err := bib.Read(r)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, p := range problems {
		s.e.say("%s, %s", name, p)
	}
	s.broken += len(problems)
	for _, p := range papers {
		s.gathered = append(s.gathered, gathered{name, p})
	}
	return nil
}

// save adds what was gathered to the library as its file is now, whoever else has added to it meanwhile. The file is written whole, or left.
func (s *shelf) save() (err error) {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o755); err != nil {
		return err
	}
	lock, err := atomic.Hold(s.path, fmt.Sprintf("gimbal papers, process %d", os.Getpid()))
	for end := time.Now().Add(5 * time.Second); errors.Is(err, atomic.ErrHeld) && time.Now().Before(end); { // another one writes it, which takes a moment
		time.Sleep(20 * time.Millisecond)
		lock, err = atomic.Hold(s.path, fmt.Sprintf("gimbal papers, process %d", os.Getpid()))
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	library, own, _, err := s.e.library(s.path, true)
	if err != nil {
		return err
	}
	before := len(own)
	for _, g := range s.gathered {
		p := g.paper
		key, fresh := library.AddOwn(p)
		if !fresh {
			s.known++
			continue
		}
		if key != p.Key {
			s.e.say("%s: another paper has the key %q, so %q is kept as %q", g.from, p.Key, cut(p.Title, 60), key)
			p.Key = key
		}
		p.Added = time.Now().UTC().Format(digest.Day)
		own = append(own, p)
	}
	s.gathered, s.papers = nil, len(own)
	s.added += len(own) - before
	return atomic.Write(s.path, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		for _, p := range own {
			if err := enc.Encode(p); err != nil {
				return err
			}
		}
		return nil
	})
}

// addPapers adds the papers of files to a library's file.
func (s *shelf) addPapers(files []string) error {
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		err = s.take(file, f)
		f.Close()
		if err != nil {
			return err
		}
	}
	if err := s.save(); err != nil {
		return err
	}
	return s.tell()
}

func (s *shelf) tell() error {
	return s.e.printObject(object{{"library", s.path}, {"added", s.added}, {"known_before", s.known}, {"problems", s.broken}, {"papers", s.papers}})
}

// printPaper shows a paper's whole entry.
func (e *env) printPaper(library *catalog.Library, p catalog.Paper) error {
	similar := library.Similar(p.Key, 5)
	type verdict struct {
		Method  string `json:"method"`
		Verdict string `json:"verdict,omitempty"`
		Again   string `json:"again,omitempty"`
	}
	var verdicts []verdict
	for _, id := range p.Methods {
		v := verdict{Method: id}
		if r := claims.Stored(id); r != nil {
			v.Verdict, v.Again = string(r.Verdict), "gimbal claim "+id
		}
		verdicts = append(verdicts, v)
	}
	if e.json {
		var keys []string
		for _, s := range similar {
			keys = append(keys, s.Key)
		}
		return writeJSON(e.stdout, struct {
			catalog.Paper
			Claims  []verdict `json:"claims,omitempty"`
			Similar []string  `json:"similar,omitempty"`
		}{p, verdicts, keys})
	}
	out := bufio.NewWriter(e.stdout)
	width := min(e.width, 100)
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(out, "%-12s%s\n", name, strings.Join(wrap(text, width-12), "\n"+strings.Repeat(" ", 12)))
		}
	}
	title := p.Title
	if p.Name != "" {
		title = p.Name + ": " + strings.TrimPrefix(p.Title, p.Name+": ")
	}
	fmt.Fprintln(out, strings.Join(wrap(title, width), "\n"))
	fmt.Fprintln(out)
	where := p.Venue
	if p.Year > 0 && !strings.Contains(where, fmt.Sprint(p.Year)) {
		where = strings.TrimSpace(fmt.Sprintf("%s %d", where, p.Year))
	}
	line("authors", strings.Join(p.Authors, ", "))
	line("published", strings.Trim(where+", "+p.Identifier, ", "))
	line("code", p.Code)
	line("family", strings.Trim(p.Family+", "+p.Kind, ", "))
	line("question", p.Question)
	line("for", p.For)
	line("takes", strings.Join(p.Inputs, ", "))
	line("gives", strings.Join(p.Outputs, ", "))
	line("cost", p.Cost)
	if p.Trust != "" {
		line("headline", p.Headline+" ("+p.Trust+")")
	} else {
		line("headline", p.Headline)
	}
	line("became", p.Became)
	line("runs", p.Runs)
	line("state", p.State)
	line("missing", p.Missing)
	for _, v := range verdicts {
		text := v.Method
		if v.Verdict != "" {
			text += ", claim " + v.Verdict + " (" + v.Again + ")"
		}
		line("method", text)
	}
	if len(verdicts) > 0 {
		line("next", "gimbal help "+verdicts[0].Method)
	}
	for i, s := range similar {
		name := ""
		if i == 0 {
			name = "similar"
		}
		fmt.Fprintf(out, "%-12s%s\n", name, cut(s.Key+"  "+s.Title, width-12))
	}
	return out.Flush()
}
