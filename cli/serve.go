package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/digest"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/serve"
	"github.com/gimbal-ml/gimbal/serve/alarm"
	"github.com/gimbal-ml/gimbal/serve/history"
	"github.com/gimbal-ml/gimbal/serve/site"
	"github.com/gimbal-ml/gimbal/serve/telemetry"
)

type serveOptions struct {
	http, grpc       string
	exposed          bool
	data, state      string
	tokens           string
	cert, key, ca    string
	maxBody          int64
	maxRequests      int
	rate             float64
	timeout, grace   time.Duration
	poll             time.Duration
	logFormat, level string
	history          string
	replica          string
	share            time.Duration
	alarms           alarmOptions
	digest           time.Duration
}

func newServeCommand(e *env) *cobra.Command {
	o := &serveOptions{}
	cmd := &cobra.Command{
		Use:   "serve [MODEL…]",
		Short: "Answer for saved guards and models over HTTP and gRPC",
		Long: `Serve answers in the Open Inference Protocol, version 2, that KServe, Triton and MLServer speak: as JSON, with binary tensors, and over
gRPC. MODEL is a guard's or a model's file, or NAME=FILE. Metrics for Prometheus are at /metrics, the description of all
routes at /openapi.json; /papers, /methods, /claims and /guide are pages to read.

It listens to this machine only, unless --http or --grpc say otherwise; then it wants --tokens, or --exposed from who knows
what that means. A token file has lines of ROLE TOKEN NAME; the roles are read, infer, teach and admin.

A guard watches the rows that it judges for drift. Taught and corrected over the network, it keeps what it learned in --state-dir,
also when the process is killed.

Replicas that share one --history, each with a --replica name and a state folder of its own, add up what their guards are taught: they come
to be equal to the bit. When a drift alarm rings, --alarm-webhook tells a URL and --alarm-mail whoever asked for it on the page and confirmed it
by a link. Traces of HTTP requests and metrics go to an OpenTelemetry collector that OTEL_EXPORTER_OTLP_ENDPOINT names.

A model is loaded again when its file has changed, and at SIGHUP; requests under way are answered by the old one. At SIGTERM
the server takes no more requests, answers those under way and ends. Errors go to standard error as structured logs.`,
		Example: `  gimbal serve g.gimbal
  gimbal serve g.gimbal detector=m.gimbal --http 127.0.0.1:9000 --grpc off
  gimbal serve g.gimbal --http :8080 --grpc :8081 --tokens tokens --tls-cert cert.pem --tls-key key.pem`,
		RunE: func(cmd *cobra.Command, args []string) error { return runServe(e, cmd, args, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.http, "http", "127.0.0.1:8080", "`ADDRESS` for HTTP, or off")
	f.StringVar(&o.grpc, "grpc", "127.0.0.1:8081", "`ADDRESS` for gRPC, or off")
	f.BoolVar(&o.exposed, "exposed", false, "listen to other machines without tokens")
	f.StringVar(&o.data, "data", "", "`FOLDER` that jobs read from and write to; without it jobs have no files")
	f.StringVar(&o.state, "state-dir", "", "`FOLDER` in which guards keep what they learn and see; without it that ends with the process")
	f.StringVar(&o.history, "history", "", "`FILE` of an SQLite database, or a postgres:// URL, that keeps what guards decided (default history.sqlite in --state-dir, where there is one), or off")
	f.StringVar(&o.replica, "replica", "", "`NAME` of this server among those that share what their guards learn, through --history")
	f.DurationVar(&o.share, "share-every", 10*time.Second, "`TIME` between two looks at what other replicas learned")
	o.alarms.flags(f)
	f.DurationVar(&o.digest, "digest-every", 0, "`TIME` between two digests of what is new, to who asks for them at /digest; with --alarm-mail")
	f.StringVar(&o.tokens, "tokens", "", "`FILE` with bearer tokens")
	f.StringVar(&o.cert, "tls-cert", "", "`FILE` with the server's certificate (PEM)")
	f.StringVar(&o.key, "tls-key", "", "`FILE` with its key (PEM)")
	f.StringVar(&o.ca, "tls-client-ca", "", "`FILE` with the authorities (PEM) whose certificates clients must have")
	f.Int64Var(&o.maxBody, "max-body", 64<<20, "largest request in `BYTES`")
	f.IntVar(&o.maxRequests, "max-requests", 1024, "most `REQUESTS` answered at once")
	f.Float64Var(&o.rate, "rate", 0, "most `REQUESTS` a second from each client; 0 is no bound")
	f.DurationVar(&o.timeout, "timeout", time.Minute, "`TIME` that a client may take to send a request")
	f.DurationVar(&o.grace, "grace", 25*time.Second, "`TIME` that requests may take to end when the server stops")
	f.DurationVar(&o.poll, "poll", 2*time.Second, "`TIME` between looks at the models' files")
	addLog(cmd, &o.logFormat, &o.level)
	return cmd
}

// ballast is memory that a server holds and never touches, so that it costs no page. The collector starts when the heap has doubled: a server whose
// models fill a megabyte would collect a hundred times a second, and every request would wait for it. A larger GOGC would do the same to a small
// heap, and multiply a large one.
func ballast() []byte { return make([]byte, 32<<20) }

func runServe(e *env, cmd *cobra.Command, models []string, o *serveOptions) (failed error) {
	defer runtime.KeepAlive(ballast())
	if len(models) == 0 && o.data == "" {
		return usage(cmd, "MODEL is missing; without one, --data is needed, for jobs")
	}
	options, err := o.options(e, cmd, models)
	if err != nil {
		return err
	}
	hang := make(chan os.Signal, 1) // before anybody can connect, who may then send one
	signal.Notify(hang, syscall.SIGHUP)
	defer signal.Stop(hang)
	options.Loopback = true
	var on serve.Listeners
	for _, l := range []struct {
		flag, address string
		to            *net.Listener
	}{{"--http", o.http, &on.HTTP}, {"--grpc", o.grpc, &on.GRPC}} {
		if l.address == "off" {
			continue
		}
		local, err := isLoopback(l.address)
		if err != nil {
			return usage(cmd, "%s %s: %v", l.flag, l.address, err)
		}
		options.Loopback = options.Loopback && local
		if !local && options.Tokens == nil && !o.exposed {
			return usage(cmd, "%s %s can be reached from other machines: give --tokens, or --exposed to let everybody in", l.flag, l.address)
		}
		if *l.to, err = net.Listen("tcp", l.address); err != nil {
			return err
		}
		defer (*l.to).Close()
	}
	if on.HTTP == nil && on.GRPC == nil {
		return usage(cmd, "--http and --grpc are both off")
	}
	library, _, _, err := e.library("", false)
	if err != nil {
		return err
	}
	letters, err := newNews(o, library, options.Log)
	if err != nil {
		return err
	}
	pages := site.New(e.specs, library)
	if letters != nil {
		defer letters.to.Close()
		options.News = letters.to
		pages.Letters = alarm.News.Path
	}
	trends := ""
	if o.state != "" {
		trends = filepath.Join(o.state, "trend.json")
	}
	if pages.Trend, err = digest.OpenTrend(trends); err != nil {
		return err
	}
	defer func() { failed = errors.Join(failed, pages.Trend.Save()) }()
	pages.Base = strings.TrimSuffix(o.alarms.link, "/")
	options.Ran = func(id string) { pages.Trend.Count("/methods/"+id, time.Now()) }
	options.Pages = pages
	where := o.history
	if where == "" && o.state != "" {
		where = filepath.Join(o.state, "history.sqlite")
		if err := os.MkdirAll(o.state, 0o700); err != nil {
			return err
		}
	}
	if where != "" && where != "off" {
		if options.History, err = history.Open(cmd.Context(), where, history.Config{}); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		defer func() { failed = errors.Join(failed, options.History.Close()) }()
	}
	if options.Alarm, err = o.alarms.open(o.state); err != nil {
		return err
	}
	if options.Alarm != nil {
		defer options.Alarm.Close()
	}
	s, err := serve.New(e.specs, options)
	if err != nil {
		return err
	}
	sent, err := telemetry.FromEnv(os.Getenv, options.Version, s.Gauges)
	if err != nil {
		return err
	}
	defer flush(sent, options.Log)
	s.Trace(sent)
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	if letters != nil {
		go letters.run(ctx)
	}
	go func() {
		tick := time.NewTicker(time.Minute)
		defer tick.Stop()
		for {
			select {
			case <-hang:
				_ = s.Reload(true) // logged there
			case <-tick.C:
				if err := pages.Trend.Save(); err != nil {
					options.Log.Error("what is looked at", "error", err)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return s.Run(ctx, on)
}

func (o *serveOptions) options(e *env, cmd *cobra.Command, models []string) (serve.Options, error) {
	out := serve.Options{Models: models, Data: o.data, State: o.state, MaxBody: o.maxBody, MaxRequests: o.maxRequests, Rate: o.rate, Timeout: o.timeout, Grace: o.grace, Poll: o.poll, Replica: o.replica, Share: o.share, Version: fmt.Sprint(versions()[0].value)}
	if o.maxBody < 1 || o.maxRequests < 1 || o.rate < 0 || o.timeout <= 0 || o.grace <= 0 || o.poll <= 0 || o.share <= 0 {
		return out, usage(cmd, "--max-body, --max-requests, --timeout, --grace, --poll and --share-every want more than 0, --rate 0 or more")
	}
	if o.digest < 0 || o.digest > 0 && (o.digest < time.Hour || o.alarms.server == "") {
		return out, usage(cmd, "--digest-every %v: want an hour or more, and --alarm-mail", o.digest)
	}
	if err := o.alarms.check(cmd, o.state); err != nil {
		return out, err
	}
	if o.replica != "" && (o.state == "" || o.history == "" || o.history == "off") {
		return out, usage(cmd, "--replica needs --state-dir, for what it learns itself, and --history, through which replicas share it")
	}
	var err error
	if out.Log, err = newLogger(e, cmd, o.logFormat, o.level); err != nil {
		return out, err
	}
	if o.tokens != "" {
		if out.Tokens, err = serve.LoadTokens(o.tokens); err != nil {
			return out, err
		}
	}
	switch {
	case (o.cert == "") != (o.key == ""):
		return out, usage(cmd, "--tls-cert and --tls-key belong together")
	case o.cert == "" && o.ca != "":
		return out, usage(cmd, "--tls-client-ca needs --tls-cert and --tls-key")
	case o.cert != "":
		out.TLS, err = o.tls()
	}
	return out, err
}

func (o *serveOptions) tls() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(o.cert, o.key)
	if err != nil {
		return nil, fmt.Errorf("%s, %s: %w: %v", o.cert, o.key, method.ErrConfig, err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if o.ca != "" {
		text, err := os.ReadFile(o.ca)
		if err != nil {
			return nil, err
		}
		c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		if !c.ClientCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s: %w: no certificate in it", o.ca, method.ErrConfig)
		}
	}
	return c, nil
}

// isLoopback reports whether an address is reached from this machine only.
func isLoopback(address string) (bool, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false, fmt.Errorf("want HOST:PORT")
	}
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback(), nil
	}
	return host == "localhost", nil
}
