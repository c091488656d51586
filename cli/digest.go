package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/digest"
	"github.com/gimbal-ml/gimbal/serve/alarm"
)

type digestOptions struct {
	since, form, base, library, output string
	mail, from                         string
	to                                 []string
	port                               int
	plain                              bool
}

func newDigestCommand(e *env) *cobra.Command {
	o := &digestOptions{}
	var forms []string
	for _, f := range digest.Forms {
		forms = append(forms, f.Name)
	}
	cmd := &cobra.Command{
		Use:   "digest",
		Short: "Tell what is new: papers that were added, claims that ran again, verdicts that changed",
		Long: `Digest lists what is new since a day: papers that you added to your library, claims that ran again, and verdicts that changed. It is written as
text, or as a feed (rss, atom, json) for readers of those. With --mail it is sent, to each --to by itself, over STARTTLS, with GIMBAL_SMTP_USER and
GIMBAL_SMTP_PASSWORD; when nothing is new nothing is sent. A server shows the same at /digest, /digest.rss, /digest.atom and /digest.json.`,
		Example: `  gimbal digest --since 2026-11-01
  gimbal digest --since 30d --form atom --base https://gimbal.example -o digest.atom`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDigest(cmd.Context(), e, cmd, o, forms) },
	}
	f := cmd.Flags()
	f.StringVar(&o.since, "since", "7d", "first `DAY`, such as 2026-11-01, or how many days ago, such as 7d")
	f.StringVar(&o.form, "form", "text", "`FORM`: "+strings.Join(forms, ", "))
	f.StringVar(&o.base, "base", "", "address of the server whose pages the links lead to, `URL`")
	f.StringVar(&o.library, "library", "", "`FILE` of your own papers (default as for gimbal papers)")
	addOutput(cmd, &o.output, "`FILE` to write (default the screen)")
	f.StringVar(&o.mail, "mail", "", "mail server's `HOST` to send it by")
	f.IntVar(&o.port, "mail-port", 587, "the mail server's `PORT`")
	f.BoolVar(&o.plain, "mail-plain", false, "send without TLS where the server offers none")
	f.StringVar(&o.from, "from", "", "sender's `ADDRESS`")
	f.StringSliceVar(&o.to, "to", nil, "`ADDRESSES` to send it to")
	completeFlag(cmd, "form", forms)
	return cmd
}

// dayOf reads a day, or how many days before today it is.
func dayOf(text string, today time.Time) (time.Time, error) {
	if at, err := time.Parse(digest.Day, text); err == nil {
		return at, nil
	}
	days := 0
	if n, err := fmt.Sscanf(text, "%dd", &days); n != 1 || err != nil || days < 0 || fmt.Sprintf("%dd", days) != text {
		return time.Time{}, fmt.Errorf("%q is no day such as 2026-11-01, and no number of days such as 7d", text)
	}
	return today.AddDate(0, 0, -days), nil
}

func runDigest(ctx context.Context, e *env, cmd *cobra.Command, o *digestOptions, forms []string) error {
	now := time.Now().UTC()
	since, err := dayOf(o.since, now.Truncate(24*time.Hour))
	if err != nil {
		return usage(cmd, "--since %v", err)
	}
	base := strings.TrimSuffix(o.base, "/")
	if at, err := url.Parse(base); base != "" && (err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https") {
		return usage(cmd, "--base %q is no address such as https://host", o.base)
	}
	if base == "" && (o.form == "rss" || o.form == "atom") {
		return usage(cmd, "--form %s needs --base: a reader of the feed follows its links", o.form)
	}
	library, _, _, err := e.library(o.library, false)
	if err != nil {
		return err
	}
	items := digest.New(library.Papers(), since)
	var b bytes.Buffer
	form := o.form
	if e.json && !cmd.Flags().Changed("form") {
		form = "json"
	}
	if err := digest.Write(&b, form, base, items); err != nil {
		return usage(cmd, "--form %q: have %s", o.form, strings.Join(forms, ", "))
	}
	if o.mail != "" {
		if o.from == "" || len(o.to) == 0 || form != "text" {
			return usage(cmd, "--mail needs --from and --to, and sends text")
		}
		if len(items) == 0 {
			e.say("nothing is new since %s: nothing is sent", since.Format(digest.Day))
			return nil
		}
		m := alarm.Mail{Host: o.mail, Port: o.port, From: o.from, Plain: o.plain, User: os.Getenv("GIMBAL_SMTP_USER"), Password: os.Getenv("GIMBAL_SMTP_PASSWORD")}
		for _, to := range o.to {
			send, stop := context.WithTimeout(ctx, time.Minute)
			err := m.Send(send, to, fmt.Sprintf("%s, %s", digest.Title, plural(len(items), "new thing")), b.String(), now)
			stop()
			if err != nil {
				return fmt.Errorf("%s by %s: %w", to, o.mail, err)
			}
			e.say("sent to %s: %s", to, plural(len(items), "new thing"))
		}
		return nil
	}
	if o.output == "" || o.output == "-" {
		_, err := e.stdout.Write(b.Bytes())
		return err
	}
	if err := atomic.Write(o.output, func(w io.Writer) error { _, err := w.Write(b.Bytes()); return err }); err != nil {
		return err
	}
	e.say("%s: %s since %s", o.output, plural(len(items), "new thing"), since.Format(digest.Day))
	return nil
}
