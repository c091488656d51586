package sidecar

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/serve/oip"
	"github.com/gimbal-ml/gimbal/serve/oip/inference"
)

// RPC is a sidecar for gRPC. Messages pass as the bytes that they are, those of services that it does not know as well; to an inference's
// answer further bytes are added, which in protobuf are further fields.
type RPC struct {
	*Sidecar
	conn   *grpc.ClientConn
	server *grpc.Server
}

// NewRPC makes a sidecar for gRPC, with TLS where tls is not nil. Messages beyond MaxBody are refused. Errors: ErrConfig.
func NewRPC(c Config, tls *tls.Config) (*RPC, error) {
	s, err := newSidecar(c)
	if err != nil {
		return nil, err
	}
	c = s.config
	way := insecure.NewCredentials()
	switch s.upstream.Scheme {
	case "grpc":
	case "grpcs":
		way = credentials.NewTLS(nil)
	default:
		return nil, fmt.Errorf("sidecar: %w: the upstream %s does not speak gRPC", method.ErrConfig, s.upstream.Redacted())
	}
	r := &RPC{Sidecar: s}
	if r.conn, err = grpc.NewClient("passthrough:///"+s.upstream.Host, grpc.WithTransportCredentials(way), grpc.WithDefaultCallOptions(
		grpc.ForceCodecV2(untouched{}), grpc.MaxCallRecvMsgSize(int(c.MaxBody)), grpc.MaxCallSendMsgSize(int(c.MaxBody)))); err != nil {
		return nil, fmt.Errorf("sidecar: %w: %w", method.ErrConfig, err)
	}
	options := []grpc.ServerOption{grpc.UnknownServiceHandler(r.handle), grpc.ForceServerCodecV2(untouched{}), grpc.MaxRecvMsgSize(int(c.MaxBody)), grpc.ConnectionTimeout(10 * time.Second)}
	if tls != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(tls)))
	}
	r.server = grpc.NewServer(options...)
	return r, nil
}

// Serve answers on a listener until Stop.
func (r *RPC) Serve(l net.Listener) error { return r.server.Serve(l) }

// Stop answers what is under way and ends, at once when ctx does.
func (r *RPC) Stop(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		r.server.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		r.server.Stop()
		<-done
	}
	_ = r.conn.Close() // nothing is under way
}

// frame is a message as it came.
type frame struct{ b []byte }

// untouched is a codec that leaves messages as they are.
type untouched struct{}

var _ encoding.CodecV2 = untouched{}

func (untouched) Name() string { return "proto" }

func (untouched) Marshal(v any) (mem.BufferSlice, error) {
	f, ok := v.(*frame)
	if !ok {
		return nil, fmt.Errorf("sidecar: a message of type %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(f.b)}, nil
}

func (untouched) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return fmt.Errorf("sidecar: a message of type %T", v)
	}
	f.b = data.Materialize()
	return nil
}

// handle passes a call on.
func (r *RPC) handle(_ any, in grpc.ServerStream) error {
	name, _ := grpc.MethodFromServerStream(in)
	ctx := in.Context()
	if m, ok := metadata.FromIncomingContext(ctx); ok {
		ctx = metadata.NewOutgoingContext(ctx, m.Copy())
	}
	if name == inference.GRPCInferenceService_ModelInfer_FullMethodName {
		return r.infer(ctx, in)
	}
	return r.pass(ctx, in, name)
}

// pass passes messages both ways until both sides are done.
func (r *RPC) pass(ctx context.Context, in grpc.ServerStream, name string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	out, err := r.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, name)
	if err != nil {
		return err
	}
	go func() { // it ends with the call: RecvMsg fails then
		for {
			var f frame
			err := in.RecvMsg(&f)
			if errors.Is(err, io.EOF) {
				_ = out.CloseSend() // a failure shows where answers are received
				return
			}
			if err == nil {
				err = out.SendMsg(&f)
			}
			if err != nil {
				if !errors.Is(err, io.EOF) { // of SendMsg: the other side has ended, and says why below
					stop()
				}
				return
			}
		}
	}()
	header := false
	for {
		var f frame
		err := out.RecvMsg(&f)
		if !header {
			header = true
			if m, e := out.Header(); e == nil {
				if e := in.SendHeader(m); e != nil && err == nil {
					return e
				}
			}
		}
		if err != nil {
			in.SetTrailer(out.Trailer())
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := in.SendMsg(&f); err != nil {
			return err
		}
	}
}

// infer passes an inference on and has it judged meanwhile.
func (r *RPC) infer(ctx context.Context, in grpc.ServerStream) error {
	var question, answer frame
	if err := in.RecvMsg(&question); err != nil {
		return status.Error(codes.InvalidArgument, "an inference without a message")
	}
	begin := time.Now()
	ctx, stop := context.WithTimeout(ctx, r.config.Timeout)
	defer stop()
	j := &job{read: true}
	wanted := true
	var q inference.ModelInferRequest
	if err := proto.Unmarshal(question.b, &q); err != nil {
		j.why = unscored(http.StatusBadRequest, "the request is no message of the protocol")
	} else if wanted = r.wants(q.ModelName); wanted && len(r.config.Outputs) == 0 {
		j.model = q.ModelName
		j.why = r.tapMessage(j, &q)
	}
	j.model = q.ModelName
	if wanted {
		r.seen.requests.Add(1)
		if j.why != nil && r.config.Closed {
			r.seen.refused.Add(1)
			return statusError(j.why)
		}
	}
	j.spent.Add(int64(time.Since(begin)))
	var header, trailer metadata.MD
	err := r.conn.Invoke(ctx, inference.GRPCInferenceService_ModelInfer_FullMethodName, &question, &answer, grpc.Header(&header), grpc.Trailer(&trailer))
	in.SetTrailer(trailer)
	if err != nil {
		if code := status.Code(err); code == codes.Unavailable || code == codes.DeadlineExceeded {
			r.seen.failed.Add(1)
			r.config.Log.Warn("upstream failed", "call", "ModelInfer", "error", err)
		}
		_ = in.SendHeader(header) // the call's own error says more
		return err
	}
	begin = time.Now()
	if wanted {
		if why := r.addTo(ctx, j, &answer, &header); why != nil {
			if r.config.Closed {
				r.seen.refused.Add(1)
				return statusError(why)
			}
			r.seen.unscored.Add(1)
			header = metadata.Join(header, metadata.Pairs(strings.ToLower(unscoredHeader), headerText(why.why)))
		}
		j.spent.Add(int64(time.Since(begin)))
		r.seen.added.observe(time.Duration(j.spent.Load()))
	}
	if err := in.SendHeader(header); err != nil {
		return err
	}
	return in.SendMsg(&answer)
}

// tapMessage takes the features out of a request and has them judged.
func (r *RPC) tapMessage(j *job, q *inference.ModelInferRequest) *errUnscored {
	var d oip.Request
	if _, err := inference.DecodeRequest(&d, q); err != nil {
		return unscored(http.StatusBadRequest, "%v", err)
	}
	j.id = d.ID
	in, why := r.rows(d.Inputs, r.config.Inputs, "input")
	if why == nil {
		r.judge(j, in)
	}
	return why
}

// rawContents is the number of the answer's field raw_output_contents: with it no tensor has contents of its own.
const rawContents = 6

// addTo adds to an answer what was judged.
func (r *RPC) addTo(ctx context.Context, j *job, answer *frame, header *metadata.MD) *errUnscored {
	if j.why == nil && len(r.config.Outputs) > 0 {
		if j.why = r.tapReply(j, answer.b); j.why != nil {
			return j.why
		}
	}
	ds, why := r.decisions(ctx, j)
	if why != nil {
		return why
	}
	r.seen.scored(ds)
	if r.config.Headers {
		score, p, accept := headerValues(ds)
		*header = metadata.Join(*header, metadata.Pairs(strings.ToLower(scoreHeader), score, strings.ToLower(pValueHeader), p, strings.ToLower(acceptHeader), accept))
		return nil
	}
	raw, err := hasField(answer.b, rawContents)
	if err != nil {
		return unscored(http.StatusBadGateway, "the answer is no message of the protocol")
	}
	more, err := proto.Marshal(inference.EncodeResponse(&oip.Response{Outputs: added(ds)}, raw))
	if err != nil {
		return unscored(http.StatusInternalServerError, "%v", err)
	}
	answer.b = append(answer.b[:len(answer.b):len(answer.b)], more...)
	return nil
}

func (r *RPC) tapReply(j *job, b []byte) *errUnscored {
	var m inference.ModelInferResponse
	var p oip.Response
	err := proto.Unmarshal(b, &m)
	if err == nil {
		err = inference.DecodeResponse(&p, &m)
	}
	if err != nil {
		return unscored(http.StatusBadGateway, "the answer cannot be read")
	}
	j.id = p.ID
	in, why := r.rows(p.Outputs, r.config.Outputs, "output")
	if why != nil {
		return unscored(http.StatusBadGateway, "%s", why.why)
	}
	r.judge(j, in)
	return nil
}

// hasField reports whether a message has a field of the number.
func hasField(b []byte, number protowire.Number) (bool, error) {
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return false, protowire.ParseError(size)
		}
		if n == number {
			return true, nil
		}
		b = b[size:]
		if size = protowire.ConsumeFieldValue(n, kind, b); size < 0 {
			return false, protowire.ParseError(size)
		}
		b = b[size:]
	}
	return false, nil
}

// statusError is a refusal in gRPC's terms.
func statusError(why *errUnscored) error {
	code := codes.Unavailable
	switch why.code {
	case http.StatusBadRequest:
		code = codes.InvalidArgument
	case http.StatusGatewayTimeout:
		code = codes.DeadlineExceeded
	}
	return status.Error(code, why.why)
}
