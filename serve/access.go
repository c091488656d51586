package serve

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gimbal-ml/gimbal/method"
)

// Role is what a client may do; each may do what those before it may.
type Role int

// The roles.
const (
	Public Role = iota // what needs no token: health
	Read               // metadata, listings, metrics
	Infer              // answers for rows
	Teach              // what makes or changes models
	Admin              // what changes the server
)

var roleNames = []string{"public", "read", "infer", "teach", "admin"}

// String returns the role's name in a token file.
func (r Role) String() string { return roleNames[r] }

var (
	errUnauthorized = errors.New("a bearer token is needed")
	errForbidden    = errors.New("not allowed")
	errBusy         = errors.New("too many requests")
)

// Tokens are the bearer tokens that the server knows. Of a token only its hash is kept.
type Tokens struct{ list []token }

type token struct {
	hash [sha256.Size]byte
	role Role
	name string
}

// shortestToken is how many characters a token has at least.
const shortestToken = 16

// LoadTokens reads a token file: on each line a role, a token, and a name for logs; # begins a comment.
// Errors: ErrConfig with the line; the token itself is never in the message.
func LoadTokens(path string) (*Tokens, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer closeQuietly(f)
	t, err := readTokens(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

func readTokens(in io.Reader) (*Tokens, error) {
	t := &Tokens{}
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		f := strings.Fields(text)
		if len(f) == 0 {
			continue
		}
		role := Role(slices.Index(roleNames, f[0]))
		switch {
		case len(f) < 2 || len(f) > 3:
			return nil, fmt.Errorf("line %d: %w: have %d words, want ROLE TOKEN [NAME]", n, method.ErrConfig, len(f))
		case role < Read:
			return nil, fmt.Errorf("line %d: %w: role %.20q, want %s", n, method.ErrConfig, f[0], strings.Join(roleNames[1:], ", "))
		case len(f[1]) < shortestToken:
			return nil, fmt.Errorf("line %d: %w: the token has %d characters, want at least %d", n, method.ErrConfig, len(f[1]), shortestToken)
		}
		name := fmt.Sprintf("line-%d", n)
		if len(f) == 3 {
			name = f[2]
		}
		t.list = append(t.list, token{sha256.Sum256([]byte(f[1])), role, name})
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(t.list) == 0 {
		return nil, fmt.Errorf("%w: no token in it", method.ErrConfig)
	}
	return t, nil
}

// who finds the token of an Authorization header. It looks at every token, whatever it has found, in constant time.
func (t *Tokens) who(header string) (role Role, name string) {
	const scheme = "Bearer "
	if len(header) <= len(scheme) || !strings.EqualFold(header[:len(scheme)], scheme) {
		return Public, ""
	}
	hash := sha256.Sum256([]byte(strings.TrimSpace(header[len(scheme):])))
	for _, k := range t.list {
		if subtle.ConstantTimeCompare(hash[:], k.hash[:]) == 1 {
			role, name = k.role, k.name
		}
	}
	return role, name
}

// allow checks that a client may do what needs a role, and returns who it is: the token's name, or its address.
func (s *Server) allow(need Role, authorization, address string) (client string, err error) {
	client, _, err = net.SplitHostPort(address)
	if err != nil {
		client = address
	}
	if s.options.Tokens != nil && need > Public {
		role, name := s.options.Tokens.who(authorization)
		if role == Public {
			return client, errUnauthorized
		}
		if client = name; role < need {
			return client, fmt.Errorf("%w: this needs the role %s, %s has %s", errForbidden, need, name, role)
		}
	}
	if need > Public && !s.limiter.take(client, time.Now()) {
		return client, fmt.Errorf("%w: at most %g a second", errBusy, s.options.Rate)
	}
	return client, nil
}

// limiter lets each client make so many requests a second, and twice as many at once after a pause.
type limiter struct {
	rate    float64 // 0 lets all pass
	mutex   sync.Mutex
	clients map[string]*allowance
	swept   time.Time
}

type allowance struct {
	left float64
	at   time.Time
}

// mostClients bounds what is remembered; whoever has been silent is forgotten first.
const mostClients = 10000

func (l *limiter) take(client string, now time.Time) bool {
	if l.rate <= 0 {
		return true
	}
	burst := max(2*l.rate, 1)
	l.mutex.Lock()
	defer l.mutex.Unlock()
	a := l.clients[client]
	if a == nil {
		if len(l.clients) >= mostClients {
			if now.Sub(l.swept).Abs() >= time.Second { // looking through all of them must not be what keeps the server busy
				l.swept = now
				for name, a := range l.clients { // full again: forgetting it changes nothing
					if a.left+now.Sub(a.at).Seconds()*l.rate >= burst {
						delete(l.clients, name)
					}
				}
			}
			if len(l.clients) >= mostClients {
				return false
			}
		}
		a = &allowance{burst, now}
		l.clients[client] = a
	}
	a.left = min(burst, a.left+max(0, now.Sub(a.at).Seconds())*l.rate)
	a.at = now
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}

// guardHeaders are on every answer: the server's pages load nothing and are shown in no frame, and nothing is cached.
var guardHeaders = map[string][]string{
	"X-Content-Type-Options":     {"nosniff"},
	"X-Frame-Options":            {"DENY"},
	"Content-Security-Policy":    {"default-src 'none'; frame-ancestors 'none'"},
	"Referrer-Policy":            {"no-referrer"},
	"Cross-Origin-Opener-Policy": {"same-origin"},
	"Cache-Control":              {"no-store"},
}

// localHost reports whether a request's Host names this machine. A page in a browser here may be led to send requests to a server
// on loopback under a name of its own: such names are refused where no token protects the server.
func localHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	if ip := net.ParseIP(name); ip != nil {
		return ip.IsLoopback()
	}
	return strings.EqualFold(name, "localhost")
}

// trusted refuses requests that a foreign web page may have sent.
func (s *Server) trusted(r *http.Request) error {
	if s.options.Tokens == nil && s.options.Loopback && !localHost(r.Host) {
		return fmt.Errorf("%w: host %.60q is not this machine", errForbidden, r.Host)
	}
	if err := s.origins.Check(r); err != nil {
		return fmt.Errorf("%w: %w", errForbidden, err)
	}
	return nil
}
