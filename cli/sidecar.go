package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/serve"
	"github.com/gimbal-ml/gimbal/serve/alarm"
	"github.com/gimbal-ml/gimbal/serve/history"
	"github.com/gimbal-ml/gimbal/serve/sidecar"
	"github.com/gimbal-ml/gimbal/serve/telemetry"
)

type sidecarOptions struct {
	upstream          []string
	http, grpc, admin string
	models            []string
	inputs, outputs   []string
	headers, closed   bool
	exposed           bool
	cert, key         string
	maxBody           int64
	timeout, grace    time.Duration
	state, history    string
	alarms            alarmOptions
	logFormat, level  string
	log               *slog.Logger
}

func newSidecarCommand(e *env) *cobra.Command {
	o := &sidecarOptions{}
	cmd := &cobra.Command{
		Use:   "sidecar GUARD --upstream URL",
		Short: "Stand before a model server and say of every inference how unfamiliar its rows are",
		Long: `Sidecar passes every request on to a model server that speaks the Open Inference Protocol (Triton, KServe, MLServer, OpenVINO) and
its answer back, as they are. To the answer of an inference it adds the outputs ood_score, p_value and accept, of each row, or
with --headers the headers Gimbal-Ood-Score, Gimbal-P-Value and Gimbal-Accept. The features are the first input, or the tensors
named by --inputs or --outputs, side by side.

While the model server works the guard judges the same rows. An inference that cannot be judged passes without a judgement, and the
header Gimbal-Unscored says why; with --fail-closed it is refused.

All rows are watched for drift; with --state-dir over restarts, whatever happens to the process. The folder belongs to one process at
a time. --history keeps what was refused, and histograms of all scores, in an SQLite file or a PostgreSQL database;
--alarm-webhook tells a URL when the drift alarm rings (signed when GIMBAL_WEBHOOK_KEY is set), and --alarm-mail whoever asked for it on
the page /alarms of --admin and confirmed it by a link. Metrics for Prometheus are at
/metrics of --admin; traces of HTTP requests and metrics go to an OpenTelemetry collector that OTEL_EXPORTER_OTLP_ENDPOINT names. At SIGTERM requests under way are answered, then it ends.`,
		Example: `  gimbal sidecar g.gimbal --upstream http://127.0.0.1:8000
  gimbal sidecar g.gimbal --upstream http://127.0.0.1:8000 --upstream grpc://127.0.0.1:8001 --http 127.0.0.1:9000 --grpc 127.0.0.1:9001
  gimbal sidecar g.gimbal --upstream http://127.0.0.1:8000 --outputs embedding --model resnet --headers --fail-closed
  gimbal sidecar g.gimbal --upstream http://127.0.0.1:8000 --state-dir state --history history.db --alarm-webhook https://hooks.example/drift`,
		Args: exactly("GUARD"),
		RunE: func(cmd *cobra.Command, args []string) error { return runSidecar(e, cmd, args[0], o) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.upstream, "upstream", nil, "`URL` of the model server: http, https, grpc or grpcs; one for HTTP and one for gRPC")
	f.StringVar(&o.http, "http", "127.0.0.1:8080", "`ADDRESS` to answer HTTP at, when there is an upstream for it")
	f.StringVar(&o.grpc, "grpc", "127.0.0.1:8081", "`ADDRESS` to answer gRPC at, when there is an upstream for it")
	f.StringVar(&o.admin, "admin", "127.0.0.1:8090", "`ADDRESS` for /metrics and /health, or off")
	f.BoolVar(&o.exposed, "exposed", false, "listen to other machines, as the model server would")
	f.StringSliceVar(&o.models, "model", nil, "`MODELS` whose inferences are judged, separated by commas; all by default")
	f.StringSliceVar(&o.inputs, "inputs", nil, "`TENSORS` of the request that hold the features, separated by commas; the first input by default")
	f.StringSliceVar(&o.outputs, "outputs", nil, "`TENSORS` of the answer that hold the features, instead")
	f.BoolVar(&o.headers, "headers", false, "tell in headers instead of output tensors")
	f.BoolVar(&o.closed, "fail-closed", false, "refuse an inference that cannot be judged")
	f.StringVar(&o.cert, "tls-cert", "", "`FILE` with the sidecar's certificate (PEM)")
	f.StringVar(&o.key, "tls-key", "", "`FILE` with its key (PEM)")
	f.Int64Var(&o.maxBody, "max-body", 64<<20, "largest request or answer that is judged, in `BYTES`")
	f.DurationVar(&o.timeout, "timeout", time.Minute, "`TIME` that the model server may take for an inference")
	f.DurationVar(&o.grace, "grace", 25*time.Second, "`TIME` that requests may take to end when the sidecar stops")
	f.StringVar(&o.state, "state-dir", "", "`FOLDER` that keeps the stream of rows, watched for drift")
	f.StringVar(&o.history, "history", "", "`FILE` of an SQLite database, or a postgres:// URL, that keeps what was decided")
	o.alarms.flags(f)
	addLog(cmd, &o.logFormat, &o.level)
	return cmd
}

// upstreams sorts the upstreams by protocol.
func (o *sidecarOptions) upstreams(cmd *cobra.Command) (web, rpc string, err error) {
	for _, u := range o.upstream {
		to := &web
		if strings.HasPrefix(u, "grpc") {
			to = &rpc
		}
		if *to != "" {
			return "", "", usage(cmd, "--upstream %s: there is one of its kind already", u)
		}
		*to = u
	}
	return web, rpc, nil
}

func (o *sidecarOptions) check(e *env, cmd *cobra.Command) (err error) {
	if err := needFlags(cmd, "upstream"); err != nil {
		return err
	}
	if len(o.alarms.webhooks) > 0 && o.state == "" {
		return usage(cmd, "--alarm-webhook needs --state-dir: drift is watched over a stream that is kept")
	}
	if err := o.alarms.check(cmd, o.state); err != nil {
		return err
	}
	if len(o.inputs) > 0 && len(o.outputs) > 0 {
		return usage(cmd, "--inputs and --outputs exclude each other")
	}
	if o.maxBody < 1 || o.timeout <= 0 || o.grace <= 0 {
		return usage(cmd, "--max-body, --timeout and --grace want more than 0")
	}
	if (o.cert == "") != (o.key == "") {
		return usage(cmd, "--tls-cert and --tls-key belong together")
	}
	o.log, err = newLogger(e, cmd, o.logFormat, o.level)
	return err
}

// listen opens an address, which other machines reach only with --exposed.
func (o *sidecarOptions) listen(cmd *cobra.Command, flag, address string) (net.Listener, error) {
	local, err := isLoopback(address)
	if err != nil {
		return nil, usage(cmd, "%s %s: %v", flag, address, err)
	}
	if !local && !o.exposed {
		return nil, usage(cmd, "%s %s can be reached from other machines: give --exposed to let everybody in whom the model server lets in", flag, address)
	}
	return net.Listen("tcp", address)
}

func runSidecar(e *env, cmd *cobra.Command, path string, o *sidecarOptions) (err error) {
	defer runtime.KeepAlive(ballast())
	if err := o.check(e, cmd); err != nil {
		return err
	}
	web, rpc, err := o.upstreams(cmd)
	if err != nil {
		return err
	}
	saved, err := e.loadGuard(path)
	if err != nil {
		return err
	}
	k, err := o.keep(cmd.Context(), e, saved.Guard)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.close()) }()
	sent, err := telemetry.FromEnv(os.Getenv, fmt.Sprint(versions()[0].value), k.guard.Gauges)
	if err != nil {
		return err
	}
	defer flush(sent, o.log)
	c := sidecar.Config{
		Judge: k.guard.Judge, Width: saved.Dim(), Models: o.models, Inputs: o.inputs, Outputs: o.outputs, Headers: o.headers, Closed: o.closed,
		MaxBody: o.maxBody, Timeout: o.timeout, Told: k.told, Log: o.log,
	}
	var secure *tls.Config
	if o.cert != "" {
		if secure, err = (&serveOptions{cert: o.cert, key: o.key}).tls(); err != nil {
			return err
		}
	}
	s := sidecarServers{grace: o.grace, log: o.log}
	defer s.close()
	if web != "" {
		c.Upstream = web
		h, err := sidecar.New(c)
		if err != nil {
			return err
		}
		l, err := o.listen(cmd, "--http", o.http)
		if err != nil {
			return err
		}
		s.counted = append(s.counted, h)
		s.addHTTP(l, sent.Handler(func(r *http.Request) string { return r.Method }, h), secure, o.timeout)
	}
	if rpc != "" {
		c.Upstream = rpc
		r, err := sidecar.NewRPC(c, secure)
		if err != nil {
			return err
		}
		l, err := o.listen(cmd, "--grpc", o.grpc)
		if err != nil {
			return err
		}
		s.counted = append(s.counted, r.Sidecar)
		s.addRPC(l, r)
	}
	if o.admin != "off" {
		l, err := o.listen(cmd, "--admin", o.admin)
		if err != nil {
			return err
		}
		s.addHTTP(l, k.admin(s.counted), nil, o.timeout)
	}
	return s.run(cmd.Context())
}

// flush sends the telemetry that has gathered, for a few seconds.
func flush(sent *telemetry.Exporter, log *slog.Logger) {
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
	defer stop()
	if err := sent.Close(ctx); err != nil {
		log.Warn("telemetry not sent to its end", "error", err)
	}
}

// sidecarServers are what listens.
type sidecarServers struct {
	grace   time.Duration
	log     *slog.Logger
	counted []*sidecar.Sidecar
	serve   []func() error
	stop    []func(ctx context.Context)
	opened  []net.Listener
}

func (s *sidecarServers) addHTTP(l net.Listener, h http.Handler, secure *tls.Config, timeout time.Duration) {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: timeout, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	if secure != nil {
		server.TLSConfig = secure
	}
	s.opened = append(s.opened, l)
	s.serve = append(s.serve, func() error {
		err := error(nil)
		if secure != nil {
			err = server.ServeTLS(l, "", "")
		} else {
			err = server.Serve(l)
		}
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	})
	s.stop = append(s.stop, func(ctx context.Context) {
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
	})
}

func (s *sidecarServers) addRPC(l net.Listener, r *sidecar.RPC) {
	s.opened = append(s.opened, l)
	s.serve = append(s.serve, func() error { return r.Serve(l) })
	s.stop = append(s.stop, r.Stop)
}

func (s *sidecarServers) close() {
	for _, l := range s.opened {
		l.Close()
	}
}

// run serves until ctx ends or a listener fails, and answers what is under way.
func (s *sidecarServers) run(ctx context.Context) (err error) {
	failed := make(chan error, len(s.serve))
	for _, f := range s.serve {
		go func() { failed <- f() }()
	}
	for _, l := range s.opened {
		s.log.Info("listening", "address", l.Addr().String())
	}
	ended := 0
	select {
	case <-ctx.Done():
	case err = <-failed:
		ended++
	}
	s.log.Info("stopping")
	grace, end := context.WithTimeout(context.Background(), s.grace)
	defer end()
	for _, f := range s.stop {
		f(grace)
	}
	for ; ended < len(s.serve); ended++ {
		err = errors.Join(err, <-failed)
	}
	s.log.Info("stopped")
	return err
}

// keeping is what a sidecar knows of before and after.
type keeping struct {
	name    string
	log     *slog.Logger
	guard   *serve.Watched
	history *history.History // nil without
	alarm   *alarm.Notifier  // nil without
}

func (o *sidecarOptions) keep(ctx context.Context, e *env, g *guard.Guard) (k *keeping, err error) {
	k = &keeping{name: "sidecar", log: o.log}
	if len(o.models) == 1 {
		k.name = o.models[0]
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, k.close())
		}
	}()
	if o.state != "" { // the history may lie in it
		if err := os.MkdirAll(o.state, 0o700); err != nil {
			return k, err
		}
	}
	if o.history != "" {
		if k.history, err = history.Open(ctx, o.history, history.Config{}); err != nil {
			return k, err
		}
	}
	if k.alarm, err = o.alarms.open(o.state); err != nil {
		return k, err
	}
	k.guard, err = serve.Watch(k.name, o.state, e.specs, g, k.history, k.alarm, k.log)
	return k, err
}

func (k *keeping) close() (err error) {
	if k.guard != nil {
		err = k.guard.Close()
	}
	if k.history != nil {
		err = errors.Join(err, k.history.Close())
	}
	if k.alarm != nil {
		k.alarm.Close()
	}
	return err
}

func (k *keeping) told(model, request string, in *data.Table, ds []guard.Decision) {
	if k.history != nil {
		k.history.Decisions(model, request, in, ds)
	}
}

// admin answers for metrics and health.
func (k *keeping) admin(counted []*sidecar.Sidecar) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		if k.guard.Failed() != nil {
			http.Error(w, "judging, but the state cannot be written down", http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "ok\n")
	})
	if k.alarm.Mails() {
		mux.Handle(k.alarm.LinkPath(), k.alarm.Handler())
		mux.Handle(k.alarm.SubscribePath(), k.alarm.Handler())
	}
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		if err := k.writeMetrics(w, counted); err != nil {
			k.log.Debug("metrics not read to their end", "error", err)
		}
	})
	return mux
}

func (k *keeping) writeMetrics(w io.Writer, counted []*sidecar.Sidecar) error {
	if err := sidecar.WriteMetrics(w, counted...); err != nil {
		return err
	}
	for _, m := range k.guard.Gauges() {
		kind := "gauge"
		if m.Total {
			kind = "counter"
		}
		name := strings.ReplaceAll(m.Name, ".", "_")
		if _, err := fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n%s{model_name=%q} %g\n", name, m.Help, name, kind, name, k.name, m.Value); err != nil {
			return err
		}
	}
	return nil
}
