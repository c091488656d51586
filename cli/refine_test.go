package cli

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

func TestFitTellsWhatTheMethodSaysOfItsModel(t *testing.T) {
	fixture(t)
	args := []string{"fit", "detect/gaussianad", "--train", "train.csv", "--label", "y", "-o", "g.gimbal"}
	if r := gimbal(args...); r.code != 0 || !strings.Contains(r.errOut, "layer 1: 4 columns") || !strings.Contains(r.errOut, "threshold: ") {
		t.Errorf("exit %d: %s", r.code, r.errOut)
	}
	var o map[string]any
	if err := json.Unmarshal([]byte(must(t, append(args, "--json")...)), &o); err != nil {
		t.Fatal(err)
	}
	if text, ok := o["layer 1"].(string); !ok || !strings.Contains(text, "4 directions") {
		t.Errorf("as JSON: %v", o)
	}
}

func TestFitRefinesByFurtherFiles(t *testing.T) {
	fixture(t)
	refined := 0
	for _, s := range specs() {
		if len(s.Refines) == 0 || slices.ContainsFunc(s.Refines, func(slot method.Slot) bool { return slot.Kind != data.KindTable && !slot.Optional }) {
			continue
		}
		refined++
		fit(t, s, "plain.gimbal")
		more := []string{"--familiar", "new.csv", "--unfamiliar", "ood.csv"}
		fit(t, s, "refined.gimbal", more...)
		known := numbers(t, must(t, "score", "refined.gimbal", "--in", "more.csv", "--label", "y"), "ood_score")
		unknown := numbers(t, must(t, "score", "refined.gimbal", "--in", "ood.csv", "--label", "y"), "ood_score")
		wrong := 0
		for _, v := range known { // scores are log odds now
			if v > 0 {
				wrong++
			}
		}
		for _, v := range unknown {
			if v < 0 {
				wrong++
			}
		}
		if wrong > (len(known)+len(unknown))/20 {
			t.Errorf("%s: %d rows on the wrong side of even odds, of %d and %d", s.ID(), wrong, len(known), len(unknown))
		}
		refused(t, 2, []string{"--unfamiliar"}, "fit", s.ID(), "--train", "train.csv", "--label", "y", "--familiar", "new.csv", "-o", "x.gimbal")
	}
	if refined == 0 {
		t.Error("no method has models that are refined")
	}
}

// A model of logits that is refined with the network that they come from is a model of the network's inputs.
func TestFitRefinesThroughANetwork(t *testing.T) {
	fixture(t)
	refined := 0
	for _, s := range specs() {
		if !slices.ContainsFunc(s.Refines, func(slot method.Slot) bool { return slot.Name == "network" }) || s.Inputs[0].Name != logitSlot {
			continue
		}
		refined++
		args := []string{"--familiar", "new.csv", "--unfamiliar", "ood.csv", "--network", "head.safetensors"}
		fit(t, s, "refined.gimbal", args...)
		if n := len(numbers(t, must(t, "score", "refined.gimbal", "--in", "more.csv", "--label", "y"), "ood_score")); n != 40 {
			t.Errorf("%s: %d scores of 40 inputs", s.ID(), n)
		}
		refused(t, 1, []string{"column"}, "score", "refined.gimbal", "--in", "logits.csv", "--label", "y")
		refused(t, 2, []string{"--network"}, "fit", s.ID(), "--logits", "logits.csv", "--label", "y", "--familiar", "new.csv", "--unfamiliar", "ood.csv", "-o", "x.gimbal")
	}
	if refined == 0 {
		t.Error("no method on logits is refined with a network")
	}
}

// A head on what a network puts out that is refined with the network is a head of the network's inputs.
func TestFitRefinesHeadsThroughANetwork(t *testing.T) {
	fixture(t)
	refined := 0
	for _, s := range specs() {
		if !slices.ContainsFunc(s.Refines, func(slot method.Slot) bool { return slot.Name == "inputs" }) {
			continue
		}
		refined++
		args := []string{"fit", s.ID(), "--train", "logits.csv", "--label", "y", "-o", "refined.gimbal", "--inputs", "train.csv"}
		for name, value := range s.Small {
			args = append(args, "--"+name, value)
		}
		refused(t, 2, []string{"--network"}, args...)
		must(t, append(args, "--network", "head.safetensors")...)
		if n := len(numbers(t, must(t, "predict", "refined.gimbal", "--in", "more.csv", "--label", "y"), "probability")); n != 40 {
			t.Errorf("%s: %d probabilities of 40 inputs", s.ID(), n)
		}
		refused(t, 1, []string{"column"}, "predict", "refined.gimbal", "--in", "logits.csv", "--label", "y")
	}
	if refined == 0 {
		t.Error("no head is refined with a network")
	}
}
