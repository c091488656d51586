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
