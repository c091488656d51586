package alarm

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// webhookClient follows no redirects: what is sent is meant for the address that was named.
var webhookClient = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second, MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second},
}

// post sends a notice as JSON, with the headers of a CloudEvent. What the other side refuses for good (4xx, but for 408 and 429) is not tried again.
func (n *Notifier) post(ctx context.Context, to string, notice Notice) (again bool, err error) {
	body, err := json.Marshal(struct {
		Notice
		Text string `json:"text"`
		Plot string `json:"plot_svg,omitempty"`
	}{notice, notice.text(), string(notice.Plot)})
	if err != nil {
		return false, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	id := sha256.Sum256(body)
	for name, value := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "gimbal",
		"Ce-Specversion": "1.0", "Ce-Type": "gimbal.drift.alarm", "Ce-Source": "/v2/models/" + url.PathEscape(notice.Model), "Ce-Id": hex.EncodeToString(id[:16]),
		"Ce-Time": notice.At.UTC().Format(time.RFC3339Nano),
	} {
		r.Header.Set(name, value)
	}
	if len(n.config.WebhookKey) > 0 {
		sum := hmac.New(sha256.New, n.config.WebhookKey)
		sum.Write(body)
		r.Header.Set("X-Gimbal-Signature", "sha256="+hex.EncodeToString(sum.Sum(nil)))
	}
	answer, err := webhookClient.Do(r)
	if err != nil {
		var u *url.Error // its text holds the whole URL, and with it a secret perhaps
		if errors.As(err, &u) {
			err = u.Err
		}
		return true, err
	}
	defer answer.Body.Close()                               // nothing was written to it
	io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<16)) // so that the connection can be used again
	switch code := answer.StatusCode; {
	case code < 300:
		return false, nil
	case code == http.StatusRequestTimeout || code == http.StatusTooManyRequests || code >= 500:
		return true, fmt.Errorf("it answered %s", strconv.Itoa(code))
	default:
		return false, fmt.Errorf("it answered %s", strconv.Itoa(code))
	}
}
