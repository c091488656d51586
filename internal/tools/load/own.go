package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gimbal-ml/gimbal/catalog"
	"github.com/gimbal-ml/gimbal/cli"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/data/safetensors"
	"github.com/gimbal-ml/gimbal/method"
)

// serving is set in the process that is the server of a table.
const serving = "LOAD_SERVES"

// serveMain is the program of that process: the command line, asked to serve.
func serveMain() int { return cli.Main(catalog.All()) }

// table prints, as medians over rounds, what a server of one detector, 512 columns and 100 classes, answers over both protocols, on the same cores as this program.
// A peer that runs already, under HTTP and gRPC addresses with a comma between, is asked in the same rounds.
func table(peer string) error {
	dir, err := os.MkdirTemp("", "load-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "m.gimbal")
	if err := detector(path); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	overHTTP, err := free()
	if err != nil {
		return err
	}
	overGRPC, err := free()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "serve", path, "--http", overHTTP, "--grpc", overGRPC, "--log-level", "warn")
	cmd.Env, cmd.Stderr = append(os.Environ(), serving+"=1"), os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Wait()
	defer cmd.Process.Signal(syscall.SIGTERM)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", overGRPC)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(end) {
			return fmt.Errorf("the server does not listen: %w", err)
		}
	}
	fmt.Println("| one row of 512 columns, 100 classes | clients | requests/s | median | p99 |")
	fmt.Println("|---|---|---|---|---|")
	type kind struct {
		name    string
		options options
	}
	kinds := []kind{
		{"REST, JSON", options{http: overHTTP}}, {"REST, binary tensors", options{http: overHTTP, binary: true}}, {"gRPC", options{grpc: overGRPC}},
	}
	if web, rpc, both := strings.Cut(peer, ","); both {
		kinds = append(kinds, kind{"the peer, REST, JSON", options{http: web}}, kind{"the peer, gRPC", options{grpc: rpc}})
	} else if peer != "" {
		return fmt.Errorf("--peer %q: want two addresses, HTTP,GRPC", peer)
	}
	clients := []int{4, 16, 32} // few show the waiting of one request, many what the two cores carry
	results := make([][]answered, len(kinds)*len(clients))
	for range rounds { // kinds alternate, so that a slow spell of the machine strikes all
		for i := range results {
			o := kinds[i/len(clients)].options
			o.model, o.output, o.columns, o.clients, o.conns, o.seconds = "m", "ood_score", columns, clients[i%len(clients)], 4, 3
			r, err := o.measure()
			if err != nil {
				return err
			}
			results[i] = append(results[i], r)
		}
	}
	for i, r := range results {
		median := func(of func(answered) float64) float64 {
			var v []float64
			for _, a := range r {
				v = append(v, of(a))
			}
			slices.Sort(v)
			return v[len(v)/2]
		}
		fmt.Printf("| %s | %d | %.0f | %.2f ms | %.2f ms |\n", kinds[i/len(clients)].name, clients[i%len(clients)],
			median(func(a answered) float64 { return a.rate }), median(func(a answered) float64 { return a.median }), median(func(a answered) float64 { return a.p99 }))
	}
	return nil
}

const columns, classes, rows, rounds = 512, 100, 20000, 5

// detector fits the default detector to a mixture and saves it.
func detector(path string) error {
	r := rand.New(rand.NewPCG(1, 2))
	means, x, labels := make([]float32, classes*columns), make([]float32, rows*columns), make([]int, rows)
	names := make([]string, classes)
	for i := range means {
		means[i] = float32(2 * r.NormFloat64())
	}
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	for i := range labels {
		labels[i] = i % classes
		for j := range columns {
			x[i*columns+j] = means[labels[i]*columns+j] + float32(r.NormFloat64())
		}
	}
	t, err := data.NewTable(rows, columns, x)
	if err != nil {
		return err
	}
	if t, err = t.WithLabels(labels, names); err != nil {
		return err
	}
	for _, s := range catalog.All() {
		if s.Family == "detect" && s.Default {
			cfg := s.Config()
			m, err := s.Fit(context.Background(), cfg, data.Bundle{s.Inputs[0].Name: t})
			if err != nil {
				return err
			}
			c, err := method.Save(s, cfg, m)
			if err != nil {
				return err
			}
			return atomic.Write(path, func(w io.Writer) error { return safetensors.Write(w, c) })
		}
	}
	return fmt.Errorf("no detector is the default")
}

// free finds an address that nobody listens to.
func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
