// Package alarm tells people and programs that a drift alarm rang: by webhook and by e-mail, with the plot attached, not more often than
// wanted, again and again while the other side does not answer. Who asks for e-mail confirms it by a link and leaves by one.
package alarm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/mail"
	"net/url"
	"strings"
	"sync"
	"time"
)

// ErrConfig says that a setting cannot be used.
var ErrConfig = errors.New("alarm settings")

// Notice is what is told.
type Notice struct {
	Model     string    `json:"model"`
	At        time.Time `json:"at"`
	Stream    uint64    `json:"stream"` // of the model's, from 1
	Row       int       `json:"row"`    // of the stream, at which the alarm rang
	Evidence  float64   `json:"evidence"`
	Threshold float64   `json:"threshold"`
	Withheld  int       `json:"withheld,omitempty"` // alarms since the last notice that were not told, for there were too many
	Plot      []byte    `json:"-"`                  // SVG, or nil
}

// text says it in a sentence or two.
func (n Notice) text() string {
	s := fmt.Sprintf("The drift alarm of %s rang at row %d of stream %d: the evidence against unchanged data is 10^%.1f, the alarm's threshold 10^%.1f.", n.Model, n.Row, n.Stream, n.Evidence, n.Threshold)
	if n.Withheld > 0 {
		s += fmt.Sprintf(" %d more alarms since the last notice were not told.", n.Withheld)
	}
	return s
}

// Topic is what people ask for by e-mail.
type Topic struct {
	// Name is it in a sentence: "drift alarms".
	Name string
	// Path is that of the page to ask for it; the links in e-mail lead below it.
	Path string
	// key sets its links apart from another topic's.
	key string
}

// Topics that there are.
var (
	Alarms = Topic{"drift alarms", "/alarms", ""}
	News   = Topic{"what is new", "/digest/mail", "news"}
)

// title is a topic's name at the beginning of a sentence.
func (t Topic) title() string { return strings.ToUpper(t.Name[:1]) + t.Name[1:] }

// LinkPath and SubscribePath are where [Notifier.Handler] is to be served: the page behind the links in e-mail, and one to ask for them.
func (n *Notifier) LinkPath() string      { return n.config.Topic.Path + "/link" }
func (n *Notifier) SubscribePath() string { return n.config.Topic.Path }

// Config says who is told, and how. What is empty is not done.
type Config struct {
	// Topic is what e-mail is about. Default [Alarms].
	Topic Topic
	// Webhooks are URLs that get a POST with JSON.
	Webhooks []string
	// WebhookKey signs what is sent: header X-Gimbal-Signature holds sha256= and the HMAC of the body in hexadecimal. Empty signs nothing.
	WebhookKey []byte
	// Mail is the server that e-mail goes through; with an empty Host none is sent.
	Mail Mail
	// Subscribers is the file with those who confirmed.
	Subscribers string
	// Link is the address of this server as subscribers reach it, for links in e-mail: https://guard.example.
	Link string
	// Key makes links that nobody else can make, 32 bytes or more.
	Key []byte
	// Every is the least time between two notices on one model. Default 10 minutes.
	Every time.Duration
	// Attempts is how often delivery is tried, with growing pauses from one second on. Default 8, over about 4 minutes.
	Attempts int

	now   func() time.Time
	pause time.Duration // before the second attempt
}

// Notifier tells. It is safe for concurrent use.
type Notifier struct {
	config  Config
	targets []*target
	people  *subscribers
	origins *http.CrossOriginProtection

	ctx  context.Context
	stop context.CancelFunc
	wait sync.WaitGroup

	mutex    sync.Mutex
	told     map[string]time.Time // by model
	withheld map[string]int
	asked    map[string]time.Time // by address
	lost     map[string]string    // by target: why the last delivery was given up
}

// target is one other side with a queue of its own, so that a slow one holds up nobody else.
type target struct {
	name  string
	queue chan delivery
}

// delivery is one thing to send; again says whether a failure may pass.
type delivery struct {
	send func(ctx context.Context) (again bool, err error)
}

// Bounds.
const (
	queued       = 64               // deliveries that wait for one target
	attemptTime  = 20 * time.Second // of one delivery
	longestPause = 2 * time.Minute
	askEvery     = 10 * time.Minute // confirmations sent to one address
	mostAsked    = 10_000           // addresses remembered for that
)

// New begins to tell. Errors: ErrConfig for an address that cannot be used; those of reading the subscribers' file.
func New(c Config) (*Notifier, error) {
	if c.Every <= 0 {
		c.Every = 10 * time.Minute
	}
	if c.Attempts <= 0 {
		c.Attempts = 8
	}
	if c.Topic.Path == "" {
		c.Topic = Alarms
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.pause == 0 {
		c.pause = time.Second
	}
	n := &Notifier{config: c, origins: http.NewCrossOriginProtection(), told: map[string]time.Time{}, withheld: map[string]int{}, asked: map[string]time.Time{}, lost: map[string]string{}}
	n.ctx, n.stop = context.WithCancel(context.Background())
	for _, w := range c.Webhooks {
		u, err := url.Parse(w)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, fmt.Errorf("alarm: %w: a webhook is not an http or https URL", ErrConfig) // it may hold a secret: it is not repeated
		}
		n.targets = append(n.targets, &target{name: "webhook " + u.Host, queue: make(chan delivery, queued)})
	}
	if c.Mail.Host != "" {
		if err := n.prepareMail(); err != nil {
			return nil, fmt.Errorf("alarm: %w", err)
		}
	}
	for _, t := range n.targets {
		n.wait.Go(func() { n.deliver(t) })
	}
	return n, nil
}

// prepareMail checks what e-mail needs.
func (n *Notifier) prepareMail() (err error) {
	c := n.config
	if _, err := mail.ParseAddress(c.Mail.From); err != nil {
		return fmt.Errorf("%w: %q is not an address to send from", ErrConfig, c.Mail.From)
	}
	if u, err := url.Parse(c.Link); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%w: e-mail needs this server's address for its links, have %q", ErrConfig, c.Link)
	}
	if len(c.Key) < 32 {
		return fmt.Errorf("%w: the key for links has %d bytes, want 32 or more", ErrConfig, len(c.Key))
	}
	if n.people, err = readSubscribers(c.Subscribers); err != nil {
		return err
	}
	n.targets = append(n.targets, &target{name: "mail " + c.Mail.Host, queue: make(chan delivery, queued)})
	return nil
}

// mails is the queue for e-mail, the last one.
func (n *Notifier) mails() *target { return n.targets[len(n.targets)-1] }

// Ring tells everyone, unless it told of the same model a short while ago. It never waits.
func (n *Notifier) Ring(notice Notice) {
	n.mutex.Lock()
	now := n.config.now()
	if last, ok := n.told[notice.Model]; ok {
		if passed := now.Sub(last); passed >= 0 && passed < n.config.Every { // a clock that jumped back silences nothing
			n.withheld[notice.Model]++
			n.mutex.Unlock()
			return
		}
	}
	n.told[notice.Model] = now
	notice.Withheld = n.withheld[notice.Model]
	delete(n.withheld, notice.Model)
	n.mutex.Unlock()
	for i, w := range n.config.Webhooks {
		n.put(n.targets[i], delivery{func(ctx context.Context) (bool, error) { return n.post(ctx, w, notice) }})
	}
	if n.people == nil {
		return
	}
	for _, to := range n.people.list() {
		n.put(n.mails(), delivery{func(ctx context.Context) (bool, error) { return n.config.Mail.send(ctx, n.noticeMail(to, notice)) }})
	}
}

// Tell sends a text to everybody who asked, each with a link to leave. It never waits.
func (n *Notifier) Tell(subject, text string) {
	if n.people == nil {
		return
	}
	for _, to := range n.people.list() {
		leave := n.link(leaving, to)
		msg := message{to: to, subject: subject, at: n.config.now(), leave: leave, text: strings.ReplaceAll(text, "\n", "\r\n") + "\r\n--\r\nNo more of these: " + leave + "\r\n"}
		n.put(n.mails(), delivery{func(ctx context.Context) (bool, error) { return n.config.Mail.send(ctx, msg) }})
	}
}

// put queues a delivery; a full queue means that the other side has been away for long, and the notice is given up.
func (n *Notifier) put(t *target, d delivery) {
	select {
	case t.queue <- d:
	default:
		n.note(t, fmt.Errorf("%d notices wait already", queued))
	}
}

func (n *Notifier) note(t *target, err error) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if err == nil {
		delete(n.lost, t.name)
		return
	}
	n.lost[t.name] = err.Error()
}

// Lost returns by target why its last notice was given up; a target that took its last one is not in it.
func (n *Notifier) Lost() map[string]string {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	out := map[string]string{}
	for k, v := range n.lost {
		out[k] = v
	}
	return out
}

// deliver sends what is queued for one target.
func (n *Notifier) deliver(t *target) {
	for {
		select {
		case <-n.ctx.Done():
			return
		case d := <-t.queue:
			n.note(t, n.attempt(d))
		}
	}
}

func (n *Notifier) attempt(d delivery) error {
	pause := n.config.pause
	for i := 1; ; i++ {
		ctx, stop := context.WithTimeout(n.ctx, attemptTime)
		again, err := d.send(ctx)
		stop()
		if err == nil || !again || i == n.config.Attempts {
			return err
		}
		select {
		case <-n.ctx.Done():
			return err
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
	}
}

// Close ends all delivery; what waits is given up.
func (n *Notifier) Close() {
	n.stop()
	n.wait.Wait()
}
