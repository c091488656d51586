package alarm

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/mail"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gimbal-ml/gimbal/data/atomic"
)

var (
	// ErrAddress says that something is no e-mail address.
	ErrAddress = errors.New("not an e-mail address")
	// ErrToken says that a link was not made here, or is too old.
	ErrToken = errors.New("this link does not hold, or no longer")
	// ErrOften says that one address was asked a short while ago.
	ErrOften = errors.New("asked a short while ago")
)

// What a link's token is for.
const (
	confirming byte = 'c'
	leaving    byte = 'l'
)

// confirmWithin is how long a link to confirm holds; one to leave holds for ever.
const confirmWithin = 48 * time.Hour

// subscribers are the addresses that confirmed, in a file.
type subscribers struct {
	path  string
	mutex sync.Mutex
	all   []string
}

func readSubscribers(path string) (*subscribers, error) {
	s := &subscribers{path: path}
	if path == "" {
		return nil, fmt.Errorf("%w: e-mail needs a file for its subscribers", ErrConfig)
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(text) == 0 {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &s.all); err != nil {
		return nil, fmt.Errorf("%s: not a list of subscribers: %w", path, err)
	}
	return s, nil
}

func (s *subscribers) list() []string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return slices.Clone(s.all)
}

// set adds or removes an address; the file changes first.
func (s *subscribers) set(address string, on bool) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	next := slices.DeleteFunc(slices.Clone(s.all), func(a string) bool { return a == address })
	if on {
		next = append(next, address)
		slices.Sort(next)
	}
	if slices.Equal(next, s.all) {
		return nil
	}
	text, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return err
	}
	if err := atomic.Private(s.path); err != nil { // people's addresses
		return err
	}
	if err := atomic.Write(s.path, func(w io.Writer) error { _, err := w.Write(append(text, '\n')); return err }); err != nil {
		return err
	}
	s.all = next
	return nil
}

// canonical is an address in the one form that it is kept in. The part before the @ belongs to its server and keeps its case.
func canonical(address string) (string, error) {
	a, err := mail.ParseAddress(address)
	if err != nil || len(a.Address) > 254 || strings.ContainsAny(a.Address, "\r\n\x00 ") {
		return "", fmt.Errorf("alarm: %.80q: %w", address, ErrAddress)
	}
	at := strings.LastIndexByte(a.Address, '@')
	return a.Address[:at] + strings.ToLower(a.Address[at:]), nil
}

// Subscribe sends a link to an address, by which it confirms. It says nothing of whether the address is subscribed already.
// Errors: ErrAddress; ErrOften within ten minutes of the last link to it; ErrConfig when no e-mail is sent here.
func (n *Notifier) Subscribe(address string) error {
	if n.people == nil {
		return fmt.Errorf("alarm: %w: no e-mail is sent from here", ErrConfig)
	}
	to, err := canonical(address)
	if err != nil {
		return err
	}
	now := n.config.now()
	n.mutex.Lock()
	for a, at := range n.asked {
		if passed := now.Sub(at); passed >= askEvery || passed < 0 {
			delete(n.asked, a)
		}
	}
	_, often := n.asked[to]
	if often || len(n.asked) >= mostAsked {
		n.mutex.Unlock()
		return fmt.Errorf("alarm: %w", ErrOften)
	}
	n.asked[to] = now
	n.mutex.Unlock()
	link := n.link(confirming, to)
	msg := message{
		to: to, subject: "Confirm " + n.config.Topic.Name + " by e-mail", at: now,
		text: "Somebody, you perhaps, asked for " + n.config.Topic.Name + " to be sent to this address. To confirm, open\r\n\r\n" + link + "\r\n\r\nwithin two days. Otherwise do nothing: no more will come.\r\n",
	}
	n.put(n.mails(), delivery{func(ctx context.Context) (bool, error) { return n.config.Mail.send(ctx, msg) }})
	return nil
}

// Redeem does what a link's token is for and says in a word what that was: confirmed or left. Errors: ErrToken; those of writing the file.
func (n *Notifier) Redeem(token string) (done, address string, err error) {
	kind, address, err := n.open(token)
	if err != nil {
		return "", "", err
	}
	if err := n.people.set(address, kind == confirming); err != nil {
		return "", "", fmt.Errorf("alarm: %w", err)
	}
	if kind == confirming {
		return "confirmed", address, nil
	}
	return "left", address, nil
}

// Subscribers returns the addresses that confirmed.
func (n *Notifier) Subscribers() []string {
	if n.people == nil {
		return nil
	}
	return n.people.list()
}

// link is the address of a page that redeems a token.
func (n *Notifier) link(kind byte, address string) string {
	return strings.TrimSuffix(n.config.Link, "/") + n.LinkPath() + "?token=" + n.token(kind, address)
}

// token is kind, the second until which it holds (0 for ever) and address, behind their HMAC.
func (n *Notifier) token(kind byte, address string) string {
	until := uint64(0)
	if kind == confirming {
		until = uint64(n.config.now().Add(confirmWithin).Unix())
	}
	body := append(binary.BigEndian.AppendUint64([]byte{kind}, until), address...)
	return base64.RawURLEncoding.EncodeToString(append(n.sum(body), body...))
}

func (n *Notifier) sum(body []byte) []byte {
	h := hmac.New(sha256.New, n.config.Key)
	h.Write([]byte("gimbal subscription\x00" + n.config.Topic.key))
	h.Write(body)
	return h.Sum(nil)
}

func (n *Notifier) open(token string) (kind byte, address string, err error) {
	fail := fmt.Errorf("alarm: %w", ErrToken)
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if n.people == nil || err != nil || len(b) < sha256.Size+9 {
		return 0, "", fail
	}
	sum, body := b[:sha256.Size], b[sha256.Size:]
	if !hmac.Equal(sum, n.sum(body)) {
		return 0, "", fail
	}
	if until := binary.BigEndian.Uint64(body[1:]); until != 0 && n.config.now().Unix() > int64(until) {
		return 0, "", fail
	}
	return body[0], string(body[9:]), nil
}
