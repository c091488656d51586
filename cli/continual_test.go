package cli

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gimbal-ml/gimbal/data/atomic"
)

func TestContinualCompare(t *testing.T) {
	fixture(t)
	found := 0
	for _, o := range parsed(t, "continual", "compare", "--train", "train.csv", "--in", "new.csv", "--label", "y", "--increment", "1", "--seeds", "2", "--intransigence", "--methods", "detect/mahalanobis,continual/prototypes,continual/acil,continual/streaminglda,continual/finetune", "--report", "page.html") {
		if o["note"] != nil {
			t.Errorf("%v: %v", o["method"], o["note"])
			continue
		}
		found++
		get := func(name string) float64 { return o[name].(map[string]any)["value"].(float64) }
		// Forgetting from first is −BWT by definition; a learner on sums alone is the same whether tasks come one by one or at once.
		if get("bwt") != -get("forgetting_from_first") || get("forgetting_from_max") < get("forgetting_from_first") {
			t.Errorf("%v: %v", o["method"], o)
		}
		if o["method"] == "continual/streaminglda" && (get("last") < 0.9 || get("intransigence") != 0) {
			t.Errorf("%v: last %v, intransigence %v", o["method"], get("last"), get("intransigence"))
		}
		if o["method"] == "continual/finetune" && get("forgetting_from_max") < 0.5 {
			t.Errorf("tuning task by task forgets only %v", get("forgetting_from_max"))
		}
	}
	if found != 5 {
		t.Errorf("%d methods with a result", found)
	}
	if page := read(t, "page.html"); strings.Count(page, "<svg") < found {
		t.Error("the report does not draw a matrix for each method")
	}
	refused(t, 2, []string{"--methods", "no such"}, "continual", "compare", "--train", "train.csv", "--in", "new.csv", "--label", "y", "--methods", "continual/none")
	refused(t, 2, []string{"--methods", "cannot both"}, "continual", "compare", "--train", "train.csv", "--in", "new.csv", "--label", "y", "--methods", "detect/knn")
	refused(t, 2, []string{"scenario", "class, domain, task"}, "continual", "compare", "--train", "train.csv", "--in", "new.csv", "--label", "y", "--scenario", "x")
}

// said runs a command and returns its result as JSON.
func said(t *testing.T, args ...string) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(must(t, append(args, "--json")...)), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// writeMonths writes six tasks of a customer group each, month.1.csv to month.6.csv, and their test rows.
func writeMonths(t *testing.T) {
	t.Helper()
	for month := 1; month <= 6; month++ {
		for i, name := range []string{"month", "test"} {
			r := rand.New(rand.NewPCG(uint64(month), uint64(i)))
			var rows []string
			for k := range 40 {
				class := 2*((month-1)%4) + k%2
				var row strings.Builder
				for j := range 8 {
					v := 0.5 * r.NormFloat64()
					if j == class {
						v += 3
					}
					fmt.Fprintf(&row, "%.3f,", v)
				}
				rows = append(rows, fmt.Sprintf("%sshop%d,item%d", row.String(), k%3, class))
			}
			if err := writeLines(fmt.Sprintf("%s.%d.csv", name, month), "a,b,c,d,e,f,g,h,shop,y", rows); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// monthOf is the command that adds one month.
func monthOf(state, method string, month int, more ...string) []string {
	args := []string{"continual", "add", "--state", state, "--data", fmt.Sprintf("month.%d.csv", month), "--label", "y", "--group", "shop", "--test", fmt.Sprintf("test.%d.csv", month)}
	if month == 1 {
		args = append(append(args, "--method", method), more...)
	}
	return args
}

// TestContinualRunIsTheSameAfterKills: a script that adds six months is killed again and again, at any moment, and begun again from its
// first line; the file is, byte for byte, that of a run that nobody disturbed.
func TestContinualRunIsTheSameAfterKills(t *testing.T) {
	bin := program(t)
	for _, method := range []string{"continual/prototypes", "continual/replay"} {
		t.Run(filepath.Base(method), func(t *testing.T) {
			fixture(t)
			writeMonths(t)
			for month := 1; month <= 6; month++ {
				must(t, monthOf("calm", method, month)...)
			}
			var script strings.Builder
			for month := 1; month <= 6; month++ {
				args := monthOf("wild", method, month)
				if month == 1 { // the method is chosen only where there is no state yet
					fmt.Fprintf(&script, "if [ -e wild ]; then echo there; else gimbal %s || exit 1; fi\n", strings.Join(args, " "))
					continue
				}
				fmt.Fprintf(&script, "gimbal %s || exit 1\n", strings.Join(args, " "))
			}
			if err := os.WriteFile("script.sh", []byte(script.String()), 0o666); err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(1, 1))
			kills := 0
			for tries := 0; ; tries++ {
				cmd := killable(exec.Command("sh", "script.sh"))
				cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0")
				var said strings.Builder
				cmd.Stderr = &said
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, 1)
				go func() { ended <- cmd.Wait() }()
				// At first all are killed early, later they live longer, so that the loop ends on any machine.
				life := time.Duration(r.IntN(20+20*tries)) * time.Millisecond
				var err error
				select {
				case err = <-ended:
				case <-time.After(life):
					killGroup(cmd)
					<-ended
					kills++
					continue
				}
				if err == nil {
					break
				}
				if !strings.Contains(said.String(), atomic.ErrHeld.Error()) { // the one killed last may take a moment to die
					t.Fatalf("the script fails after %d kills: %v: %s", kills, err, said.String())
				}
			}
			t.Logf("%d kills", kills)
			if read(t, "wild") != read(t, "calm") {
				t.Error("the killed run's file differs from that of the calm one")
			}
			if kills == 0 {
				t.Error("nothing was killed")
			}
		})
	}
}

func TestContinualForgetIsNeverSaw(t *testing.T) {
	fixture(t)
	writeMonths(t)
	hash := func(o map[string]any) string { return o["model_sha256"].(string) }
	keep := func(from, to string, drop func(row string) bool) string {
		lines := strings.Split(strings.TrimSpace(read(t, from)), "\n")
		var left []string
		for _, row := range lines[1:] {
			if !drop(row) {
				left = append(left, row)
			}
		}
		if err := writeLines(to, lines[0], left); err != nil {
			t.Fatal(err)
		}
		return to
	}
	for _, method := range []string{"continual/prototypes", "continual/ranpac", "continual/fecam", "continual/acil", "continual/streaminglda"} {
		t.Run(filepath.Base(method), func(t *testing.T) {
			state := "s." + filepath.Base(method)
			ledger := []string{"--ledger", "class,group"}
			if filepath.Base(method) == "ranpac" {
				ledger = append(ledger, "--set", "rank=40")
			}
			must(t, monthOf(state, method, 1, ledger...)...)
			two := said(t, monthOf(state, method, 2)...)
			must(t, monthOf(state, method, 3)...)
			// A class of the third month, and then the rest of it by its rows.
			must(t, "continual", "forget", "--state", state, "--class", "item4")
			rest := keep("month.3.csv", "rest.csv", func(row string) bool { return strings.HasSuffix(row, "item4") })
			if got := said(t, "continual", "forget", "--state", state, "--rows", rest, "--label", "y", "--group", "shop"); hash(got) != hash(two) {
				t.Errorf("after a class and rows are forgotten: model %v, before they came %v", hash(got), hash(two))
			}
			// A group of both months that are left: as if it had never been a customer. The grid of the first month has to be the same, so
			// the other run begins with all of it as well, and forgets one shop of it by rows before the second comes without it.
			gone := said(t, "continual", "forget", "--state", state, "--group", "shop1")
			other := "o." + filepath.Base(method)
			must(t, monthOf(other, method, 1, ledger...)...)
			of := func(row string) bool { return strings.Contains(row, "shop1") }
			leave := keep("month.1.csv", "leave.csv", func(row string) bool { return !of(row) })
			must(t, "continual", "forget", "--state", other, "--rows", leave, "--label", "y", "--group", "shop")
			without := keep("month.2.csv", "without.csv", of)
			never := said(t, "continual", "add", "--state", other, "--data", without, "--label", "y", "--group", "shop")
			if hash(gone) != hash(never) {
				t.Errorf("after a group is forgotten: model %v, of a run that never saw it %v", hash(gone), hash(never))
			}
		})
	}
}

func TestContinualSaysWhyNot(t *testing.T) {
	fixture(t)
	writeMonths(t)
	must(t, monthOf("tuned", "continual/finetune", 1)...)
	refused(t, 1, []string{"tuned", "cannot forget", "its weights hold traces"}, "continual", "forget", "--state", "tuned", "--class", "item0")
	refused(t, 1, []string{"cannot forget", "its weights hold traces"}, "continual", "forget", "--state", "tuned", "--rows", "month.1.csv", "--label", "y", "--group", "shop")
	must(t, monthOf("joint", "continual/joint", 1)...)
	refused(t, 1, []string{"cannot forget", "--rows"}, "continual", "forget", "--state", "joint", "--class", "item0")
	must(t, monthOf("plain", "continual/acil", 1)...)
	refused(t, 1, []string{"cannot forget", "--ledger class"}, "continual", "forget", "--state", "plain", "--class", "item0")
	refused(t, 1, []string{"item9", "item0"}, "continual", "forget", "--state", "plain", "--class", "item9")
}

func TestContinualBadInput(t *testing.T) {
	fixture(t)
	writeMonths(t)
	must(t, monthOf("s", "continual/prototypes", 1, "--encoder", "vit-b16 v1")...)
	add := func(more ...string) []string { return append([]string{"continual", "add", "--state", "s"}, more...) }
	data := []string{"--data", "month.2.csv", "--label", "y", "--group", "shop"}
	if err := writeLines("empty.csv", "a,b,c,d,e,f,g,h,shop,y", nil); err != nil {
		t.Fatal(err)
	}
	if err := writeLines("narrow.csv", "", []string{"1,2,3,x", "2,3,4,z"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code  int
		words []string
		args  []string
	}{
		{2, []string{"--state FILE is missing"}, append([]string{"continual", "add"}, data...)},
		{2, []string{"--method METHOD is missing"}, append([]string{"continual", "add", "--state", "none"}, data...)},
		{2, []string{"--method nosuch"}, append([]string{"continual", "add", "--state", "none", "--method", "nosuch"}, data...)},
		{1, []string{"detect/knn", "cannot both predict and update"}, append([]string{"continual", "add", "--state", "none", "--method", "detect/knn"}, data...)},
		{2, []string{"--method is chosen by the first add"}, add(append(data, "--method", "continual/acil")...)},
		{1, []string{"another", "vit-b16 v1", "schema"}, add(append(data, "--encoder", "another")...)},
		{1, []string{"empty.csv", "no rows"}, add("--data", "empty.csv", "--label", "y", "--group", "shop")},
		{1, []string{"narrow.csv", "3 columns", "8"}, add("--data", "narrow.csv", "--label", "3")},
		{1, []string{"train.csv", `"e"`, "missing"}, add("--data", "train.csv", "--label", "y")},
		{1, []string{"g.gimbal", "guard"}, append([]string{"continual", "add", "--state", "g.gimbal"}, data...)},
		{1, []string{"none"}, []string{"continual", "show", "--state", "none"}},
		{1, []string{"none"}, []string{"continual", "forget", "--state", "none", "--class", "x"}},
		{2, []string{"what to forget is missing"}, []string{"continual", "forget", "--state", "s"}},
		{2, []string{"--class excludes"}, []string{"continual", "forget", "--state", "s", "--class", "a", "--rows", "month.1.csv", "--label", "y"}},
		{1, []string{"cannot forget 20 rows", "item2"}, []string{"continual", "forget", "--state", "s", "--rows", "month.2.csv", "--label", "y", "--group", "shop"}},
		{1, []string{"no rows"}, []string{"continual", "forget", "--state", "s", "--rows", "month.1.csv", "--label", "y", "--group", "shop"}},
	} {
		r := gimbal(c.args...)
		if r.code != c.code || strings.Count(r.errOut, "\n") != 1 {
			t.Errorf("gimbal %s: exit %d, want %d: %s", strings.Join(c.args, " "), r.code, c.code, r.errOut)
		}
		for _, w := range c.words {
			if !strings.Contains(r.errOut, w) {
				t.Errorf("gimbal %s: %q lacks %q", strings.Join(c.args, " "), r.errOut, w)
			}
		}
	}
	before := read(t, "s")
	if r := gimbal(monthOf("s", "", 2)...); r.code != 0 {
		t.Fatal(r.errOut)
	}
	again := gimbal(add(data...)...)
	if again.code != 0 || !strings.Contains(again.errOut, "already added, as task 2") {
		t.Errorf("the same rows again: exit %d: %s", again.code, again.errOut)
	}
	if read(t, "s") == before {
		t.Error("a task changes nothing")
	}
	// Classes that come again are more rows of them.
	must(t, monthOf("s", "", 3)...)
	must(t, monthOf("s", "", 4)...)
	if o := said(t, monthOf("s", "", 5)...); o["classes"] != 8.0 || o["new_classes"] != nil && len(o["new_classes"].([]any)) > 0 {
		t.Errorf("the classes of the first month again: %v", o)
	}
	damaged := []byte(read(t, "s"))
	damaged[len(damaged)-3] ^= 1
	if err := os.WriteFile("damaged", damaged, 0o666); err != nil {
		t.Fatal(err)
	}
	refused(t, 1, []string{"damaged"}, "continual", "show", "--state", "damaged")
}

// TestContinualLocked: while one process holds a run, another is told who.
func TestContinualLocked(t *testing.T) {
	fixture(t)
	l, err := atomic.Hold("run.state", "process 12 on a desk, since noon")
	if err != nil {
		t.Fatal(err)
	}
	r := gimbal("continual", "add", "--state", "run.state", "--data", "more.csv", "--label", "y")
	checkRefusal(t, r, 1, []string{"run.state.lock", "another process", "process 12 on a desk, since noon"}, []string{"continual", "add"})
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	must(t, "continual", "add", "--state", "run.state", "--data", "more.csv", "--label", "y")
	for _, name := range strings.Fields(names(t, ".")) {
		if strings.HasSuffix(name, ".lock") {
			t.Errorf("%s is left", name)
		}
	}
}

// TestContinualVanishedClass: a class whose rows are all forgotten is known no more, and is measured no more.
func TestContinualVanishedClass(t *testing.T) {
	fixture(t)
	o := said(t, "continual", "forget", "--state", "run.state", "--class", "ant")
	if fmt.Sprint(o["gone_classes"]) != "[ant]" || o["classes"] != 2.0 {
		t.Errorf("%v", o)
	}
	list := parsed(t, "continual", "show", "--state", "run.state", "--report", "run.html")
	if len(list) != 2 || list[1]["all_so_far"].(float64) < 0.9 {
		t.Errorf("%v", list)
	}
	if !strings.Contains(read(t, "run.html"), "<svg") {
		t.Error("no matrix is drawn")
	}
	must(t, "continual", "export", "--state", "run.state", "-o", "m.gimbal")
	if out := must(t, "predict", "m.gimbal", "--in", "new.csv", "--label", "y", "--unknown"); strings.Contains(out, "ant") {
		t.Error("the class is still predicted")
	}
	refused(t, 1, []string{"cat", "no row is left"}, "continual", "forget", "--state", lastClass(t), "--class", "cat")
}

// lastClass is a run of the class cat alone.
func lastClass(t *testing.T) string {
	must(t, "continual", "forget", "--state", "run.state", "--class", "bee")
	return "run.state"
}

// TestContinualGap: falls, recoveries and steps beyond float32 are told, what is wrong with a log is said in a line.
func TestContinualGap(t *testing.T) {
	fixture(t)
	r := gimbal("continual", "gap", "log.csv", "--step", "tokens", "--score", "medical", "--score", "general", "--svg", "gap.svg")
	want := "score\tbefore\tdeepest\tat\tdepth\tback_at\tlast\tmean\nmedical\t0.36\t0.31\t10\t0.04999999999999999\t40\t0.4\t0.38499999966"
	if r.code != 0 || !strings.HasPrefix(r.out, want) || !strings.Contains(r.out, "general\t0.6\t0.5\t20\t0.09999999999999998\t\t0.55") {
		t.Errorf("exit %d: %s%s", r.code, r.out, r.errOut)
	}
	if picture, err := os.ReadFile("gap.svg"); err != nil || !strings.Contains(string(picture), "medical") {
		t.Errorf("gap.svg: %v", err)
	}
	for args, want := range map[string]string{
		"gap log.csv --step tokens":                   "--score",
		"gap log.csv --step tokens --score nope":      `no column "nope"`,
		"gap log.csv --step general --score medical":  "does not exceed",
		"gap none.csv --step tokens --score medical":  "none.csv",
		"gap log.csv --step tokens --score medical x": "unexpected argument",
	} {
		if r := gimbal(append([]string{"continual"}, strings.Fields(args)...)...); r.code == 0 || !strings.Contains(r.errOut, want) || strings.Count(r.errOut, "\n") > 3 {
			t.Errorf("%s: exit %d: %s", args, r.code, r.errOut)
		}
	}
}
