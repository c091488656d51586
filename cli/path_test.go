package cli

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestFromAQuestionToAVerifiedMethod goes where a new user goes who knows nothing but a question, only by what the screen says: the question finds
// a paper and its method, the method's help says how it runs and on which files, it is run, and its claim is looked up and can be measured again.
func TestFromAQuestionToAVerifiedMethod(t *testing.T) {
	bin := program(t)
	for question, family := range map[string]string{
		"my embeddings drift, has the data changed?":                  "drift",
		"inputs that the classifier was never trained on":             "detect",
		"few rows of each class: naive Bayes or logistic regression?": "probe",
		"my model forgets old classes when I tune it on new ones":     "continual",
	} {
		t.Run(family, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			screen := func(line string) string {
				t.Helper()
				cmd := exec.Command("sh", "-e", "-c", line)
				cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "XDG_CONFIG_HOME="+dir)
				out, err := cmd.CombinedOutput()
				if exit, ok := err.(*exec.ExitError); err != nil && !(ok && exit.ExitCode() == exitGate) {
					t.Fatalf("%s\n%v\n%s", line, err, out)
				}
				return string(out)
			}
			next := func(screen, pattern string) string {
				t.Helper()
				found := regexp.MustCompile(pattern).FindStringSubmatch(screen)
				if found == nil {
					t.Fatalf("the screen does not say %s:\n%s", pattern, screen)
				}
				return found[1]
			}
			help := screen("gimbal --help")
			next(help, `(gimbal papers \w+)`)
			found := screen("gimbal papers '" + question + "'")
			paper := screen(next(found, `(gimbal papers \S+) tells`))
			next(paper, `question\s+(\S)`)
			method := screen(next(paper, `next\s+(gimbal help `+family+`/\S+)`))
			again := next(method, `Claim: .*\((gimbal claim \S+) measures it again\)`)
			screen(strings.Replace(next(method, `Their files: (gimbal demo --examples FOLDER)`), "FOLDER", ".", 1))
			lines := exampleLines(method)
			if len(lines) < 2 {
				t.Fatalf("the help shows %d lines", len(lines))
			}
			answer := ""
			for _, line := range lines {
				answer += screen(line)
			}
			if strings.TrimSpace(answer) == "" {
				t.Error("the method ran and said nothing")
			}
			if history := screen(strings.Replace(again, "gimbal claim ", "gimbal claim --history ", 1)); !strings.Contains(history, family+"/") {
				t.Errorf("the claim's history is\n%s", history)
			}
			if os.Getenv("GIMBAL_SLOW") != "" {
				screen(again)
			}
		})
	}
}
