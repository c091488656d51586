package sidecar

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/serve/oip"
	"github.com/gimbal-ml/gimbal/serve/oip/inference"
)

// rpcModel is a model server over gRPC: it answers with its input.
type rpcModel struct {
	inference.UnimplementedGRPCInferenceServiceServer
	raw  bool
	hang bool
}

func (m *rpcModel) ServerReady(ctx context.Context, _ *inference.ServerReadyRequest) (*inference.ServerReadyResponse, error) {
	in, _ := metadata.FromIncomingContext(ctx)
	grpc.SetHeader(ctx, metadata.Pairs("x-echo", strings.Join(in.Get("x-custom"), ",")))
	grpc.SetTrailer(ctx, metadata.Pairs("x-end", "yes"))
	return &inference.ServerReadyResponse{Ready: true}, nil
}

func (m *rpcModel) ModelInfer(ctx context.Context, q *inference.ModelInferRequest) (*inference.ModelInferResponse, error) {
	if m.hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	var d oip.Request
	if _, err := inference.DecodeRequest(&d, q); err != nil {
		return nil, status.Error(codes.InvalidArgument, "the model cannot read it")
	}
	out := oip.Response{Model: "m", ID: d.ID}
	for _, t := range d.Inputs {
		t.Name = "features"
		out.Outputs = append(out.Outputs, t)
	}
	return inference.EncodeResponse(&out, m.raw), nil
}

// startRPC starts a model and a sidecar before it, and returns clients of both.
func startRPC(t *testing.T, m *rpcModel, c Config) (direct, through inference.GRPCInferenceServiceClient) {
	t.Helper()
	listen := func() net.Listener { return must(net.Listen("tcp", "127.0.0.1:0")) }
	up := grpc.NewServer()
	inference.RegisterGRPCInferenceServiceServer(up, m)
	ul := listen()
	go up.Serve(ul)
	c.Upstream = "grpc://" + ul.Addr().String()
	if c.Judge == nil {
		c.Judge = trained().Decide
	}
	if c.Width = width; c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	r := must(NewRPC(c, nil))
	l := listen()
	go r.Serve(l)
	client := func(l net.Listener) inference.GRPCInferenceServiceClient {
		conn := must(grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials())))
		t.Cleanup(func() { conn.Close() })
		return inference.NewGRPCInferenceServiceClient(conn)
	}
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		r.Stop(ctx)
		up.Stop()
	})
	return client(ul), client(l)
}

func question(in *data.Table, raw bool) *inference.ModelInferRequest {
	n, d := in.Dims()
	if raw {
		return inference.EncodeRequest(&oip.Request{Model: "m", ID: "id 7", Inputs: []oip.Tensor{oip.NewFloat32s("x", in.X(), int64(n), int64(d))}})
	}
	return &inference.ModelInferRequest{ModelName: "m", Id: "id 7", Inputs: []*inference.ModelInferRequest_InferInputTensor{{
		Name: "x", Datatype: "FP32", Shape: []int64{int64(n), int64(d)}, Contents: &inference.InferTensorContents{Fp32Contents: in.X()},
	}}}
}

func TestRPCInferencesAreJudged(t *testing.T) {
	for _, raw := range []bool{false, true} {
		for _, outputs := range [][]string{nil, {"features"}} {
			direct, through := startRPC(t, &rpcModel{raw: raw}, Config{Outputs: outputs})
			for _, n := range []int{1, 4, 300} {
				in := rows(uint64(n), n)
				want := must(direct.ModelInfer(t.Context(), question(in, !raw)))
				have := must(through.ModelInfer(t.Context(), question(in, !raw)))
				var p oip.Response
				if err := inference.DecodeResponse(&p, have); err != nil {
					t.Fatal(err)
				}
				same(t, &p, in)
				have.Outputs = have.Outputs[:1]
				if raw {
					have.RawOutputContents = have.RawOutputContents[:1]
				}
				if !proto.Equal(have, want) {
					t.Errorf("what the model said changed: %v, want %v", have, want)
				}
			}
		}
	}
}

func TestRPCOtherCallsPass(t *testing.T) {
	_, through := startRPC(t, &rpcModel{}, Config{})
	var header, trailer metadata.MD
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-custom", "a", "x-custom", "b")
	ready, err := through.ServerReady(ctx, &inference.ServerReadyRequest{}, grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil || !ready.Ready || fmt.Sprint(header.Get("x-echo")) != "[a,b]" || fmt.Sprint(trailer.Get("x-end")) != "[yes]" {
		t.Errorf("%v, %v, header %v, trailer %v", ready, err, header, trailer)
	}
	if _, err := through.ServerMetadata(ctx, &inference.ServerMetadataRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("the model's own refusal: %v", err)
	}
}

func TestRPCHeadersModelsAndTogether(t *testing.T) {
	_, through := startRPC(t, &rpcModel{}, Config{Headers: true, Models: []string{"m"}})
	var wait sync.WaitGroup
	for k := range 20 {
		wait.Go(func() {
			in := rows(uint64(k), 2)
			var header metadata.MD
			a, err := through.ModelInfer(t.Context(), question(in, true), grpc.Header(&header))
			if err != nil {
				t.Error(err)
				return
			}
			want, _, _ := headerValues(must(trained().Decide(in)))
			if got := header.Get("gimbal-ood-score"); len(got) != 1 || got[0] != want || len(a.Outputs) != 1 {
				t.Errorf("scores %v, want %s", got, want)
			}
		})
	}
	wait.Wait()
	q := question(rows(1, 2), true)
	q.ModelName = "other"
	var header metadata.MD
	if _, err := through.ModelInfer(t.Context(), q, grpc.Header(&header)); err != nil || len(header.Get("gimbal-ood-score")) > 0 {
		t.Errorf("a model that was not named: %v, %v", err, header)
	}
}

func TestRPCWhatCannotBeJudged(t *testing.T) {
	narrow := must(data.NewTable(2, 3, make([]float32, 6)))
	fails := func(*data.Table) ([]guard.Decision, error) { return nil, errors.New("secret detail") }
	for _, c := range []struct {
		what  string
		in    *data.Table
		judge Judge
		code  codes.Code
	}{{"another width", narrow, nil, codes.InvalidArgument}, {"a judge that fails", rows(1, 2), fails, codes.Unavailable}} {
		_, open := startRPC(t, &rpcModel{}, Config{Judge: c.judge})
		var header metadata.MD
		a, err := open.ModelInfer(t.Context(), question(c.in, true), grpc.Header(&header))
		if err != nil || len(a.Outputs) != 1 || len(header.Get("gimbal-unscored")) != 1 || strings.Contains(header.Get("gimbal-unscored")[0], "secret") {
			t.Errorf("%s, open: %v, %v, %v", c.what, a, err, header)
		}
		_, closed := startRPC(t, &rpcModel{}, Config{Judge: c.judge, Closed: true})
		if _, err := closed.ModelInfer(t.Context(), question(c.in, true)); status.Code(err) != c.code || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s, closed: %v", c.what, err)
		}
	}
	bad := question(rows(1, 2), true)
	bad.RawInputContents[0] = bad.RawInputContents[0][:5]
	direct, open := startRPC(t, &rpcModel{}, Config{})
	_, want := direct.ModelInfer(t.Context(), bad)
	if _, err := open.ModelInfer(t.Context(), bad); err == nil || err.Error() != want.Error() {
		t.Errorf("the model's own refusal: %v, want %v", err, want)
	}
	large := question(rows(1, 5000), true)
	_, small := startRPC(t, &rpcModel{}, Config{MaxBody: 1000})
	if _, err := small.ModelInfer(t.Context(), large); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("larger than allowed: %v", err)
	}
}

func TestRPCUpstreamDownOrHanging(t *testing.T) {
	_, through := startRPC(t, &rpcModel{hang: true}, Config{Timeout: 50 * time.Millisecond})
	if _, err := through.ModelInfer(t.Context(), question(rows(1, 1), true)); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("hanging: %v", err)
	}
	r := must(NewRPC(Config{Upstream: "grpc://127.0.0.1:1", Judge: trained().Decide, Width: width}, nil))
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	go r.Serve(l)
	defer r.Stop(t.Context())
	conn := must(grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials())))
	defer conn.Close()
	client := inference.NewGRPCInferenceServiceClient(conn)
	if _, err := client.ModelInfer(t.Context(), question(rows(1, 1), true)); status.Code(err) != codes.Unavailable {
		t.Errorf("down: %v", err)
	}
	if _, err := client.ServerReady(t.Context(), &inference.ServerReadyRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("down: %v", err)
	}
	if _, err := NewRPC(Config{Upstream: "http://x", Judge: trained().Decide, Width: width}, nil); !errors.Is(err, method.ErrConfig) {
		t.Errorf("an upstream without gRPC: %v", err)
	}
}

func FuzzHasField(f *testing.F) {
	f.Add([]byte{0x32, 1, 7})
	f.Fuzz(func(t *testing.T, b []byte) {
		has, err := hasField(b, rawContents)
		var m inference.ModelInferResponse
		if proto.Unmarshal(b, &m) == nil && (err != nil || has != (len(m.RawOutputContents) > 0)) && !has {
			t.Errorf("%x: %v, %v", b, has, err)
		}
	})
}
