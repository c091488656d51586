package serve

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip" // so that clients may compress; MaxBody bounds what comes out
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/gimbal-ml/gimbal/serve/merge"
	"github.com/gimbal-ml/gimbal/serve/oip"
	"github.com/gimbal-ml/gimbal/serve/oip/inference"
)

// rpc answers the protocol's service.
type rpc struct {
	inference.UnimplementedGRPCInferenceServiceServer
	s *Server
}

// newGRPC makes the server for gRPC.
func (s *Server) newGRPC() *grpc.Server {
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(int(s.options.MaxBody)),
		grpc.MaxConcurrentStreams(uint32(s.options.MaxRequests)),
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 5 * time.Minute, Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(s.intercept),
	}
	if s.options.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(s.options.TLS)))
	}
	g := grpc.NewServer(options...)
	inference.RegisterGRPCInferenceServiceServer(g, &rpc{s: s})
	return g
}

// rpcRoles says what each call needs.
var rpcRoles = map[string]Role{
	inference.GRPCInferenceService_ServerLive_FullMethodName:     Public,
	inference.GRPCInferenceService_ServerReady_FullMethodName:    Public,
	inference.GRPCInferenceService_ModelReady_FullMethodName:     Public,
	inference.GRPCInferenceService_ServerMetadata_FullMethodName: Read,
	inference.GRPCInferenceService_ModelMetadata_FullMethodName:  Read,
	inference.GRPCInferenceService_ModelInfer_FullMethodName:     Infer,
}

// intercept is what all calls have in common, as [Server.serve] is for HTTP.
func (s *Server) intercept(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (response any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", merge.ErrInternal, p)
		}
		if err != nil {
			err = s.failRPC(info.FullMethod, err)
		}
	}()
	if s.running.Add(1) > int64(s.options.MaxRequests) {
		s.running.Add(-1)
		return nil, &statusError{http.StatusServiceUnavailable, fmt.Errorf("%w: %d are being answered", errBusy, s.options.MaxRequests)}
	}
	defer s.running.Add(-1)
	role, known := rpcRoles[info.FullMethod]
	if !known {
		role = Admin
	}
	if role > Public && (s.options.Tokens != nil || s.options.Rate > 0) {
		authorization, address := "", ""
		if m, ok := metadata.FromIncomingContext(ctx); ok {
			if v := m.Get("authorization"); len(v) == 1 {
				authorization = v[0]
			}
		}
		if p, ok := peer.FromContext(ctx); ok {
			address = p.Addr.String()
		}
		if _, err := s.allow(role, authorization, address); err != nil {
			return nil, err
		}
	}
	return handle(ctx, request)
}

// codesOf are gRPC's codes for the statuses of HTTP.
var codesOf = map[int]codes.Code{
	http.StatusBadRequest: codes.InvalidArgument, http.StatusUnauthorized: codes.Unauthenticated, http.StatusForbidden: codes.PermissionDenied,
	http.StatusNotFound: codes.NotFound, http.StatusRequestTimeout: codes.Canceled, http.StatusConflict: codes.FailedPrecondition, http.StatusRequestEntityTooLarge: codes.ResourceExhausted,
	http.StatusUnprocessableEntity: codes.FailedPrecondition, http.StatusTooManyRequests: codes.ResourceExhausted, http.StatusServiceUnavailable: codes.Unavailable,
}

func (s *Server) failRPC(call string, err error) error {
	if _, ours := status.FromError(err); ours {
		return err
	}
	code := statusOf(err)
	s.metrics.refuse(code)
	if c, ok := codesOf[code]; ok {
		s.log.Debug("call refused", "call", call, "code", c.String(), "error", err)
		return status.Error(c, messageOf(err))
	}
	s.log.Error("call failed", "call", call, "error", err)
	return status.Error(codes.Internal, messageOf(err))
}

func (r *rpc) ServerLive(context.Context, *inference.ServerLiveRequest) (*inference.ServerLiveResponse, error) {
	return &inference.ServerLiveResponse{Live: true}, nil
}

func (r *rpc) ServerReady(context.Context, *inference.ServerReadyRequest) (*inference.ServerReadyResponse, error) {
	return &inference.ServerReadyResponse{Ready: r.s.ready()}, nil
}

func (r *rpc) ModelReady(_ context.Context, q *inference.ModelReadyRequest) (*inference.ModelReadyResponse, error) {
	if _, err := r.s.model(q.Name, q.Version); err != nil {
		return nil, err
	}
	return &inference.ModelReadyResponse{Ready: r.s.ready()}, nil
}

func (r *rpc) ServerMetadata(context.Context, *inference.ServerMetadataRequest) (*inference.ServerMetadataResponse, error) {
	m := r.s.serverMetadata()
	return &inference.ServerMetadataResponse{Name: m.Name, Version: m.Version, Extensions: m.Extensions}, nil
}

func (r *rpc) ModelMetadata(_ context.Context, q *inference.ModelMetadataRequest) (*inference.ModelMetadataResponse, error) {
	m, err := r.s.model(q.Name, q.Version)
	if err != nil {
		return nil, err
	}
	meta := m.metadata()
	out := &inference.ModelMetadataResponse{Name: meta.Name, Versions: meta.Versions, Platform: meta.Platform}
	tensors := func(list []oip.TensorMetadata) (out []*inference.ModelMetadataResponse_TensorMetadata) {
		for _, t := range list {
			out = append(out, &inference.ModelMetadataResponse_TensorMetadata{Name: t.Name, Datatype: string(t.Datatype), Shape: t.Shape})
		}
		return out
	}
	out.Inputs, out.Outputs = tensors(meta.Inputs), tensors(meta.Outputs)
	return out, nil
}

func (r *rpc) ModelInfer(ctx context.Context, q *inference.ModelInferRequest) (*inference.ModelInferResponse, error) {
	m, err := r.s.model(q.ModelName, q.ModelVersion)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	f := inferences.Get().(*exchange)
	defer f.giveBack()
	raw, err := inference.DecodeRequest(&f.request, q)
	if err == nil {
		err = r.s.infer(ctx, m, f)
	}
	m.metrics.grpc.done(start, err)
	if err != nil {
		return nil, err
	}
	return inference.EncodeResponse(&f.response, raw), nil
}
