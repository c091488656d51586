package live_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/serve/live"
)

// steps is a life of a live guard, one command each: what step i does depends on i alone.
func step(ctx context.Context, g *live.Guard, i uint64) error {
	switch i % 6 {
	case 1:
		return g.Learn(ctx, rows(1000+i, 3, "a", "owl"), i%4 == 1)
	case 3:
		if i > 40 { // what step i−14 taught
			return g.Forget(ctx, rows(1000+i-14, 3, "a", "owl"))
		}
		return g.Learn(ctx, rows(5000+i, 2, "b"), false)
	case 5:
		return g.SetAlpha(ctx, 0.1+float64(i%9)/100)
	}
	_, err := g.Observe(rows(9000+i, 5, "a", "b"))
	return err
}

// standing says how far a guard has come, its state's hash, and what it says of a row.
func standing(ctx context.Context, g *live.Guard) (string, error) {
	hash, err := g.Hash(ctx)
	if err != nil {
		return "", err
	}
	ds, err := g.Decide(rows(7, 1, "owl"))
	return fmt.Sprintln("open", g.Status().Commands, hash, ds[0].Score, ds[0].PValue), err
}

const killSnapshot = 3000 // bytes: a snapshot every few commands

// child is the process that is killed. It says where it stands and then each step once it is acknowledged.
func child(dir string) {
	fail := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	ctx := context.Background()
	g, err := live.Open(dir, detect.Methods(), first(), live.Config{SnapshotBytes: killSnapshot})
	fail(err)
	text, err := standing(ctx, g)
	fail(err)
	io.WriteString(os.Stdout, text)
	for i := g.Status().Commands; ; i++ {
		fail(step(ctx, g, i))
		fmt.Println("ack", i+1)
	}
}

// raceDetector says that the tests run under it, several times slower.
var raceDetector bool

func TestKilledAtAnyMoment(t *testing.T) {
	chains, kills := 2, 50
	if raceDetector {
		kills = 10 // what it looks for, it finds in one process
	}
	var mutex sync.Mutex
	seen := map[uint64]string{} // by commands, what a restarted process said
	var wait sync.WaitGroup
	for c := range chains {
		dir := t.TempDir()
		wait.Go(func() {
			random := rand.New(rand.NewPCG(uint64(c), 5))
			acknowledged := uint64(0)
			for k := range kills {
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), "GIMBAL_LIVE_CHILD="+dir)
				cmd.Stderr = os.Stderr
				out, err := cmd.StdoutPipe()
				if err == nil {
					err = cmd.Start()
				}
				if err != nil {
					t.Error(err)
					return
				}
				after := random.IntN(14) // acknowledgements; at 0 it is killed while it starts
				pause := time.Duration(random.IntN(6000)) * time.Microsecond
				if after == 0 {
					time.Sleep(4 * pause)
					cmd.Process.Kill()
				}
				for lines := bufio.NewScanner(out); lines.Scan(); {
					var n uint64
					var hash, score, p string
					line := lines.Text()
					if _, err := fmt.Sscanf(line, "open %d %s %s %s", &n, &hash, &score, &p); err == nil {
						if n < acknowledged {
							t.Errorf("chain %d, kill %d: %d commands are left of %d acknowledged", c, k, n, acknowledged)
						}
						mutex.Lock()
						if before, ok := seen[n]; ok && before != line {
							t.Errorf("after %d commands once %q, once %q", n, before, line)
						}
						seen[n] = line
						mutex.Unlock()
					} else if _, err := fmt.Sscanf(line, "ack %d", &n); err == nil {
						acknowledged = n
						if after--; after == 0 {
							time.Sleep(pause)
							cmd.Process.Kill()
						}
					} else {
						t.Errorf("the process says %q", line)
					}
				}
				cmd.Wait() // killed, always
			}
		})
	}
	wait.Wait()
	// The run that nobody interrupts.
	g := open(t, t.TempDir(), live.Config{})
	checked := 0
	for i := uint64(0); checked < len(seen) && !t.Failed(); i++ {
		if line, ok := seen[i]; ok {
			want := must(standing(t.Context(), g))
			if line+"\n" != want {
				t.Fatalf("after %d commands, restarted:\n%s\nuninterrupted:\n%s", i, line, want)
			}
			checked++
		}
		if err := step(t.Context(), g, i); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d restarts compared, after up to %d commands", checked, g.Status().Commands)
	if checked < chains*kills/4 {
		t.Errorf("only %d states were compared", checked)
	}
}
