package catalog

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/gimbal-ml/gimbal/method"
)

// Paper is a source of methods, or of parts of them.
type Paper struct {
	// Key is the name by which source comments cite it: first author, year, first word of the title.
	Key string `json:"key"`
	// Name is what the paper's method is called here, for the papers that Gimbal means to carry.
	Name    string   `json:"name,omitempty"`
	Title   string   `json:"title"`
	Authors []string `json:"authors,omitempty"`
	Year    int      `json:"year,omitempty"`
	Venue   string   `json:"venue,omitempty"`
	// Identifier is an arXiv or DOI number with its prefix; Code is where its authors published theirs.
	Identifier string `json:"identifier,omitempty"`
	Code       string `json:"code,omitempty"`
	// Family is the family whose question the paper answers; none for the papers behind parts that families share.
	Family string `json:"family,omitempty"`
	// Kind is one of method, theory, study, data, survey.
	Kind string `json:"kind,omitempty"`
	// Question is what the paper answers, in our words.
	Question string `json:"question"`
	// For says who reaches for it.
	For string `json:"for,omitempty"`
	// Inputs and Outputs are nouns, see [Nouns].
	Inputs  []string `json:"inputs,omitempty"`
	Outputs []string `json:"outputs,omitempty"`
	// Cost is what running it takes on two cores.
	Cost string `json:"cost,omitempty"`
	// Headline is the paper's own main figure, and Trust how far it may be quoted: read in the abstract or the authors' code,
	// told by others (third-party), recalled from memory, or unverified.
	Headline string `json:"headline,omitempty"`
	Trust    string `json:"trust,omitempty"`
	// Related are keys of papers with a like question.
	Related []string `json:"related,omitempty"`
	// Became says what software a theory, a study, data or a survey turned into.
	Became string `json:"became,omitempty"`
	// Runs is the command that runs it, for papers that became no method.
	Runs string `json:"runs,omitempty"`
	// Missing says what of a paper that runs is not built.
	Missing string `json:"missing,omitempty"`
	// State follows from Methods, Runs and Missing: runs, partly or planned; cited for papers that Gimbal does not mean to carry whole.
	State string `json:"state,omitempty"`
	// Added is the day on which a person added the paper to a library of their own, as 2006-01-02.
	Added string `json:"added,omitempty"`
	// Methods are the IDs of the methods that cite the paper as a source. They are not written down but read off the methods.
	Methods []string `json:"methods,omitempty"`
}

// Nouns are what papers take and give, closed so that a filter finds all.
var Nouns = strings.Fields("audio boxes checkpoint checkpoints denoiser files forecast graph images logits net numbers points policy " +
	"probabilities rows sampler scores series table text tokens transitions")

//go:embed papers.json
var papersJSON []byte

// keyForm is how a paper is cited in a comment.
var keyForm = regexp.MustCompile(`\b[a-z]+(?:19|20)[0-9]{2}[a-z]+\b`)

// papers is read once: it parses every method's documentation.
var papers = sync.OnceValue(func() []Paper {
	list, err := read(papersJSON, All())
	if err != nil {
		panic("catalog: papers.json: " + err.Error()) // it is part of the program
	}
	return list
})

// read parses a list of papers and joins it to methods by the keys that their documentation's Source line cites.
func read(text []byte, specs []method.Spec) ([]Paper, error) {
	var list []Paper
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&list); err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b Paper) int { return cmp.Compare(a.Key, b.Key) })
	for _, s := range specs {
		for _, key := range cites(s) {
			i, ok := slices.BinarySearchFunc(list, key, func(p Paper, key string) int { return cmp.Compare(p.Key, key) })
			if !ok {
				return nil, fmt.Errorf("%s cites %s, which is not listed", s.ID(), key)
			}
			list[i].Methods = append(list[i].Methods, s.ID())
		}
	}
	for i, p := range list {
		switch {
		case p.Name == "":
			list[i].State = "cited"
		case len(p.Methods) == 0 && p.Runs == "":
			list[i].State = "planned"
		case p.Missing != "":
			list[i].State = "partly"
		default:
			list[i].State = "runs"
		}
	}
	return list, nil
}

// cites lists the papers of a method, its main one first.
func cites(s method.Spec) []string {
	keys := []string{s.Paper}
	h, err := s.Help()
	if err != nil {
		return keys // a method of somebody else's may come without its source
	}
	for line := range strings.Lines(h.Doc) {
		if text, ok := strings.CutPrefix(line, "Source:"); ok {
			for _, key := range keyForm.FindAllString(text, -1) {
				if !slices.Contains(keys, key) {
					keys = append(keys, key)
				}
			}
		}
	}
	return keys
}

// Papers returns all papers, sorted by key, each with the methods that cite it.
func Papers() []Paper { return slices.Clone(papers()) }

// Lookup returns the paper of a key.
func Lookup(key string) (Paper, bool) {
	for _, p := range papers() {
		if p.Key == key {
			return p, true
		}
	}
	return Paper{}, false
}
