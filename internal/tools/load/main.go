// Load sends inference requests of one row to a server, as fast as it answers, and says how many a second and how long they took.
//
//	go run ./internal/tools/load --http 127.0.0.1:8080 --model m --columns 512 --output ood_score
//	go run ./internal/tools/load --table
//	go run ./internal/tools/load --grpc 127.0.0.1:8081 --model m --columns 512 --output ood_score
//
// It writes requests that it made beforehand and reads answers as far as it must to find their end, so that it takes as little as possible
// from a server on the same cores.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/gimbal-ml/gimbal/serve/oip"
	"github.com/gimbal-ml/gimbal/serve/oip/inference"
)

type options struct {
	http, grpc, model, output string
	columns, clients, conns   int
	peer                      string
	seconds                   float64
	binary                    bool
}

func main() {
	var o options
	flag.StringVar(&o.http, "http", "", "address of a server's HTTP")
	flag.StringVar(&o.grpc, "grpc", "", "address of a server's gRPC")
	flag.StringVar(&o.model, "model", "m", "name of the model")
	flag.StringVar(&o.output, "output", "", "output to ask for; all by default")
	flag.IntVar(&o.columns, "columns", 512, "columns of a row")
	flag.IntVar(&o.clients, "clients", 32, "requests under way at once")
	flag.IntVar(&o.conns, "connections", 4, "connections of gRPC")
	flag.Float64Var(&o.seconds, "seconds", 5, "how long to measure")
	flag.BoolVar(&o.binary, "binary", false, "send binary tensors over HTTP")
	flag.StringVar(&o.peer, "peer", "", "with --table: another server's `HTTP,GRPC` addresses, measured in the same rounds (bench/mlserver.sh)")
	own := flag.Bool("table", false, "start a server of one's own and print the table of docs/benchmarks.md")
	if os.Getenv(serving) != "" {
		os.Exit(serveMain())
	}
	flag.Parse()
	debug.SetGCPercent(800) // the cores are the server's: what the generator takes is not answered
	run := o.run
	if *own {
		run = func() error { return table(o.peer) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// asker makes one request after another.
type asker func() error

// answered says how many requests a second were answered, and how long one took, in milliseconds.
type answered struct {
	rate, median, p99, longest float64
	requests                   int
}

func (o *options) run() error {
	r, err := o.measure()
	if err != nil {
		return err
	}
	fmt.Printf("%.0f requests/s  median %.2f ms  p99 %.2f ms  longest %.2f ms  (%d requests, %d clients)\n", r.rate, r.median, r.p99, r.longest, r.requests, o.clients)
	return nil
}

func (o *options) measure() (r answered, err error) {
	var make func(client int) (asker, error)
	switch {
	case o.http != "":
		make = o.overHTTP
	case o.grpc != "":
		var conns []*grpc.ClientConn
		for range o.conns {
			c, err := grpc.NewClient(o.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(ready{})))
			if err != nil {
				return r, err
			}
			defer c.Close()
			conns = append(conns, c)
		}
		make = func(client int) (asker, error) { return o.overGRPC(conns[client%len(conns)], client) }
	default:
		return r, fmt.Errorf("--http or --grpc is missing")
	}
	took := [][]time.Duration{}
	var mutex sync.Mutex
	var all sync.WaitGroup
	var failed error
	warm := time.Now().Add(time.Second)
	end := warm.Add(time.Duration(o.seconds * float64(time.Second)))
	for client := range o.clients {
		ask, err := make(client)
		if err != nil {
			return r, err
		}
		all.Go(func() {
			var own []time.Duration
			for {
				begin := time.Now()
				if begin.After(end) {
					break
				}
				if err := ask(); err != nil {
					mutex.Lock()
					failed = err
					mutex.Unlock()
					return
				}
				if begin.After(warm) {
					own = append(own, time.Since(begin))
				}
			}
			mutex.Lock()
			took = append(took, own)
			mutex.Unlock()
		})
	}
	all.Wait()
	if failed != nil {
		return r, failed
	}
	list := slices.Concat(took...)
	slices.Sort(list)
	if len(list) == 0 {
		return r, fmt.Errorf("nothing was answered in time")
	}
	at := func(q float64) float64 { return list[int(q*float64(len(list)-1))].Seconds() * 1e3 }
	return answered{float64(len(list)) / o.seconds, at(0.5), at(0.99), at(1), len(list)}, nil
}

// request is one row of normal numbers, another for each client.
func (o *options) request(client int) *oip.Request {
	r := rand.New(rand.NewPCG(uint64(client), 1))
	x := make([]float32, o.columns)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	t := oip.NewFloat32s("input", x, 1, int64(o.columns))
	t.Binary = o.binary
	q := &oip.Request{Model: o.model, Inputs: []oip.Tensor{t}}
	if o.output != "" {
		q.Outputs = []oip.Output{{Name: o.output}}
	}
	return q
}

func (o *options) overHTTP(client int) (asker, error) {
	body, length, err := o.request(client).Encode(nil)
	if err != nil {
		return nil, err
	}
	head := fmt.Sprintf("POST /v2/models/%s/infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", o.model, len(body))
	if length >= 0 {
		head += fmt.Sprintf("%s: %d\r\n", oip.LengthHeader, length)
	}
	message := append([]byte(head+"\r\n"), body...)
	c, err := net.Dial("tcp", o.http)
	if err != nil {
		return nil, err
	}
	in := bufio.NewReader(c)
	return func() error {
		if _, err := c.Write(message); err != nil {
			return err
		}
		status, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if !strings.HasPrefix(string(status), "HTTP/1.1 200") {
			rest, _ := in.Peek(in.Buffered())
			return fmt.Errorf("%s%s", status, rest)
		}
		size := 0
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return err
			}
			if len(line) <= 2 {
				break
			}
			if name, value, ok := strings.Cut(string(line), ":"); ok && strings.EqualFold(name, "Content-Length") {
				if size, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
					return err
				}
			}
		}
		_, err = in.Discard(size)
		return err
	}, nil
}

// ready is a codec for messages that are bytes already.
type ready struct{}

func (ready) Name() string { return "proto" }

func (ready) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (ready) Unmarshal(b mem.BufferSlice, v any) error {
	*v.(*int) = b.Len()
	return nil
}

func (o *options) overGRPC(c *grpc.ClientConn, client int) (asker, error) {
	message, err := proto.Marshal(inference.EncodeRequest(o.request(client)))
	if err != nil {
		return nil, err
	}
	return func() error {
		n := 0
		if err := c.Invoke(context.Background(), inference.GRPCInferenceService_ModelInfer_FullMethodName, message, &n); err != nil {
			return err
		}
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
		return nil
	}, nil
}
