package alarm

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// Mail is a server that takes e-mail.
type Mail struct {
	Host           string // its name, which its certificate must have
	Port           int    // default 587
	User, Password string // empty to send without
	From           string // the sender's address, with or without a name
	// Plain allows to send without TLS. Without it a server that offers no STARTTLS is refused, so that nobody on the way can strip it.
	Plain bool
	// TLS may hold further settings, such as authorities of one's own.
	TLS *tls.Config
}

// message is an e-mail to one person.
type message struct {
	to, subject, text string
	leave             string // the link by which its reader leaves
	plot              []byte
	at                time.Time
}

// send delivers a message. A refusal for good (5xx) is not tried again.
func (m Mail) send(ctx context.Context, msg message) (again bool, err error) {
	port := m.Port
	if port == 0 {
		port = 587
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(m.Host, strconv.Itoa(port)))
	if err != nil {
		return true, err
	}
	defer conn.Close() // again after Quit does nothing
	if end, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(end); err != nil {
			return true, err
		}
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := m.talk(conn, msg); err != nil {
		var refused *textproto.Error
		return !errors.Is(err, errRefused) && !(errors.As(err, &refused) && refused.Code >= 500), err
	}
	return false, nil
}

// Send delivers one e-mail of text. Errors: ErrAddress; what the server says.
func (m Mail) Send(ctx context.Context, to, subject, text string, at time.Time) error {
	address, err := canonical(to)
	if err != nil {
		return err
	}
	if _, err := canonical(m.From); err != nil {
		return err
	}
	_, err = m.send(ctx, message{to: address, subject: subject, text: strings.ReplaceAll(text, "\n", "\r\n"), at: at})
	return err
}

var errRefused = errors.New("the mail server offers no STARTTLS; it is not sent in the clear")

func (m Mail) talk(conn net.Conn, msg message) error {
	from, err := mail.ParseAddress(m.From)
	if err != nil {
		return err
	}
	c, err := smtp.NewClient(conn, m.Host)
	if err != nil {
		return err
	}
	if ok, _ := c.Extension("STARTTLS"); ok {
		t := &tls.Config{}
		if m.TLS != nil {
			t = m.TLS.Clone()
		}
		t.ServerName, t.MinVersion = m.Host, tls.VersionTLS12
		if err := c.StartTLS(t); err != nil {
			return err
		}
	} else if !m.Plain {
		return errRefused
	}
	if m.User != "" {
		if err := c.Auth(smtp.PlainAuth("", m.User, m.Password, m.Host)); err != nil { // it refuses to send a password in the clear
			return err
		}
	}
	if err := c.Mail(from.Address); err != nil {
		return err
	}
	if err := c.Rcpt(msg.to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(msg.bytes(from)); err != nil {
		return err
	}
	if err := w.Close(); err != nil { // here the server takes it over
		return err
	}
	_ = c.Quit() // what it says to goodbye changes nothing
	return nil
}

// bytes is the message as it is sent.
func (msg message) bytes(from *mail.Address) []byte {
	var b bytes.Buffer
	parts := multipart.NewWriter(&b)
	_, host, _ := bytes.Cut([]byte(from.Address), []byte("@"))
	for _, h := range [][2]string{
		{"From", from.String()}, {"To", (&mail.Address{Address: msg.to}).String()}, {"Subject", mime.QEncoding.Encode("utf-8", msg.subject)},
		{"Date", msg.at.Format(time.RFC1123Z)}, {"Message-Id", "<" + rand.Text() + "@" + string(host) + ">"}, {"Auto-Submitted", "auto-generated"},
		{"List-Unsubscribe", "<" + msg.leave + ">"}, {"List-Unsubscribe-Post", "List-Unsubscribe=One-Click"},
		{"Mime-Version", "1.0"}, {"Content-Type", "multipart/mixed; boundary=" + parts.Boundary()},
	} {
		if h[0][0] == 'L' && msg.leave == "" {
			continue
		}
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	// Writing to a buffer does not fail.
	w, _ := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {"text/plain; charset=utf-8"}, "Content-Transfer-Encoding": {"quoted-printable"}})
	q := quotedprintable.NewWriter(w)
	q.Write([]byte(msg.text))
	q.Close()
	if msg.plot != nil {
		w, _ := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {"image/svg+xml; name=drift.svg"}, "Content-Disposition": {"attachment; filename=drift.svg"}, "Content-Transfer-Encoding": {"base64"}})
		text := base64.StdEncoding.EncodeToString(msg.plot)
		for len(text) > 76 {
			fmt.Fprintf(w, "%s\r\n", text[:76])
			text = text[76:]
		}
		fmt.Fprintf(w, "%s\r\n", text)
	}
	parts.Close()
	return b.Bytes()
}

func (n *Notifier) noticeMail(to string, notice Notice) message {
	leave := n.link(leaving, to)
	return message{
		to: to, subject: "Drift alarm: " + notice.Model, at: n.config.now(), plot: notice.Plot, leave: leave,
		text: notice.text() + "\r\n\r\nRang at " + notice.At.UTC().Format(time.RFC1123) + ".\r\n\r\n--\r\nNo more of these: " + leave + "\r\n",
	}
}
