package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/serve/alarm"
)

// alarmOptions say who is told when a drift alarm rings.
type alarmOptions struct {
	webhooks []string
	every    time.Duration
	server   string // for mail
	from     string
	link     string
	plain    bool
}

func (o *alarmOptions) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.webhooks, "alarm-webhook", nil, "`URL` that is told when a drift alarm rings, signed when GIMBAL_WEBHOOK_KEY is set")
	f.StringVar(&o.server, "alarm-mail", "", "`HOST[:PORT]` of the mail server for drift alarms, by STARTTLS at port 587, with GIMBAL_SMTP_USER and GIMBAL_SMTP_PASSWORD")
	f.StringVar(&o.from, "alarm-from", "", "`ADDRESS` that mail comes from")
	f.StringVar(&o.link, "alarm-link", "", "`URL` under which readers of mail reach this server, for its links")
	f.BoolVar(&o.plain, "alarm-mail-plain", false, "send mail without TLS where the server has none")
	f.DurationVar(&o.every, "alarm-every", 10*time.Minute, "`TIME` between two messages on a guard, at least")
}

// check refuses what does not go together; state is the folder that keeps who asked for mail.
func (o *alarmOptions) check(cmd *cobra.Command, state string) error {
	switch {
	case o.every <= 0:
		return usage(cmd, "--alarm-every wants more than 0")
	case o.server == "" && (o.from != "" || o.link != "" || o.plain):
		return usage(cmd, "--alarm-from, --alarm-link and --alarm-mail-plain belong to --alarm-mail")
	case o.server != "" && (o.from == "" || o.link == "" || state == ""):
		return usage(cmd, "--alarm-mail needs --alarm-from, --alarm-link, and --state-dir to keep who asked for it")
	}
	return nil
}

// open makes the notifier of alarms, nil for nobody.
func (o *alarmOptions) open(state string) (*alarm.Notifier, error) {
	return o.make(state, "subscribers.json", alarm.Config{Topic: alarm.Alarms, Webhooks: o.webhooks, WebhookKey: []byte(os.Getenv("GIMBAL_WEBHOOK_KEY")), Every: o.every})
}

// make adds the settings of mail; subscribers is the name of the file of who asked.
func (o *alarmOptions) make(state, subscribers string, c alarm.Config) (*alarm.Notifier, error) {
	if o.server != "" {
		host, port := o.server, ""
		if h, p, err := net.SplitHostPort(o.server); err == nil {
			host, port = h, p
		}
		c.Mail = alarm.Mail{Host: host, User: os.Getenv("GIMBAL_SMTP_USER"), Password: os.Getenv("GIMBAL_SMTP_PASSWORD"), From: o.from, Plain: o.plain}
		if port != "" {
			n, err := strconv.ParseUint(port, 10, 16)
			if err != nil || n == 0 {
				return nil, fmt.Errorf("--alarm-mail %s: want HOST or HOST:PORT", o.server)
			}
			c.Mail.Port = int(n)
		}
		c.Link, c.Subscribers = o.link, filepath.Join(state, subscribers)
		var err error
		if c.Key, err = secret(filepath.Join(state, "alarm.key")); err != nil {
			return nil, err
		}
	}
	if len(c.Webhooks) == 0 && c.Mail.Host == "" {
		return nil, nil
	}
	return alarm.New(c)
}

// secret reads a key, which it makes where there is none: links in mail hold as long as the file is there.
func secret(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if len(key) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := atomic.Private(path); err != nil {
		return nil, err
	}
	key = make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	return key, atomic.Write(path, func(w io.Writer) error { _, err := w.Write(key); return err })
}
