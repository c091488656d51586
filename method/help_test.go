package method_test

import (
	"embed"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/method/methodtest/saboteurs"
)

func TestHelpIsReadFromTheSource(t *testing.T) {
	all := saboteurs.Methods()
	i := slices.IndexFunc(all, func(s saboteurs.Saboteur) bool { return s.ID() == "detect/honest" })
	h, err := all[i].Help()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(h.Doc, "Honest is a detector without a fault") || !strings.Contains(h.Doc, "\nScore:   N values") || strings.Contains(h.Doc, "//") {
		t.Errorf("doc %q", h.Doc)
	}
	if want := "Floor is added to each column's variance, in the columns' own units squared."; len(h.Fields) != 1 || h.Fields["floor"] != want {
		t.Errorf("fields %q", h.Fields)
	}
}

func TestHelpWithoutSource(t *testing.T) {
	set := method.Set{Family: "tests", Source: &embed.FS{}}
	for _, s := range saboteurs.Methods()[:1] {
		set.Add(s.Spec)
	}
	if _, err := set.All()[0].Help(); err == nil || !strings.Contains(err.Error(), "no source for its help") {
		t.Errorf("have %v", err)
	}
}

// A method has a claim unless its documentation says that there is none; without documentation it is held to one.
func TestClaimed(t *testing.T) {
	all := saboteurs.Methods()
	honest := all[slices.IndexFunc(all, func(s saboteurs.Saboteur) bool { return s.ID() == "detect/honest" })].Spec
	if h, err := honest.Help(); err != nil || honest.Claimed() == strings.Contains(h.Doc, "\nClaim:   none") {
		t.Errorf("claimed %v, its documentation: %v, %v", honest.Claimed(), h.Doc, err)
	}
	set := method.Set{Family: "tests", Source: &embed.FS{}}
	set.Add(honest)
	if !set.All()[0].Claimed() {
		t.Error("without documentation no claim is asked for")
	}
}
