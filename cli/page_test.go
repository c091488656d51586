package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gimbal-ml/gimbal/internal/browser"
)

// inferAll sends rows of one value in all four columns to a guard.
func inferAll(t *testing.T, address string, values ...float64) {
	t.Helper()
	for _, v := range values {
		body := fmt.Sprintf(`{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[%g,%g,%g,%g]}]}`, v, v, v, v)
		r, err := http.Post("http://"+address+"/v2/models/g/infer", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != 200 {
			t.Fatalf("status %d", r.StatusCode)
		}
	}
}

// A person at the live page sees a strange row come, tabs to it, names its class and sees the class taught and the row leave the queue, with
// the keyboard alone. What the page shows of scores, p-values, columns and drift is there as well.
func TestLivePage(t *testing.T) {
	page := browser.Open(t)
	fixture(t)
	address, _ := serveRun(t, "g.gimbal", "--state-dir", "live")
	page.Size(1280, 900, false)
	page.Go("http://" + address + "/")
	page.Until("document.getElementById('state').textContent === '1 guard at work.'")
	inferAll(t, address, 900) // while the page is open
	page.Until("document.querySelectorAll('#queue input').length === 1")
	for what, expression := range map[string]string{
		"rows judged":    "document.querySelector('#figures').innerText.includes('100.0 %')",
		"p-values":       "document.querySelectorAll('#bars rect').length === 20",
		"scores":         "document.querySelectorAll('#scores rect.odd').length === 1 && document.querySelector('#scores .outline') && document.querySelector('#scores').textContent.includes('threshold')",
		"drift":          "document.querySelector('#drift .curve')",
		"columns":        "document.querySelectorAll('#columns tbody tr').length === 4 && document.querySelector('#columns').innerText.includes('1 of 1')",
		"the row itself": "document.querySelector('#worst').innerText.includes('a 900 (+')",
	} {
		t.Run(strings.ReplaceAll(what, " ", "_"), func(t *testing.T) { page.Until(expression) })
	}
	for range 40 {
		page.Press("Tab")
		var at bool
		if page.Eval(&at, "document.activeElement.matches('#queue input')"); at {
			break
		}
	}
	page.Type("ow")
	inferAll(t, address, 901, 902) // rows that come meanwhile take nothing from who writes
	time.Sleep(2500 * time.Millisecond)
	page.Type("l")
	page.Press("Enter")
	page.Until("document.querySelector('#alarms').innerText.includes('teach 1 row of owl')")
	page.Until("[...document.querySelectorAll('#classes option')].some(o => o.value === 'owl')")
	page.Until("document.activeElement.matches('#queue input') && document.querySelectorAll('#queue input').length >= 2")
	r, err := http.Get("http://" + address + "/v1/models/g")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var m struct {
		Guard struct{ Classes []string }
	}
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil || !strings.Contains(strings.Join(m.Guard.Classes, " "), "owl") {
		t.Errorf("classes %v, %v", m.Guard.Classes, err)
	}
}

// accessible looks over a page as it is laid out and lists what is wrong: names, contrast, headings, width.
const accessible = `(() => {
  const wrong = [], seen = e => e.getClientRects().length > 0 && getComputedStyle(e).visibility !== 'hidden'
  const say = (e, what) => wrong.push(what + ': ' + e.outerHTML.slice(0, 120))
  if (!document.documentElement.lang) wrong.push('no language')
  if (!document.title) wrong.push('no title')
  if (document.querySelectorAll('main').length !== 1) wrong.push('want one main part')
  if (document.querySelectorAll('h1').length !== 1) wrong.push('want one h1')
  let level = 0
  for (const h of document.querySelectorAll('h1,h2,h3,h4,h5,h6')) if (seen(h)) {
    const now = +h.tagName[1]
    if (now > level + 1) say(h, 'a heading skips a level')
    level = now
  }
  const ids = [...document.querySelectorAll('[id]')].map(e => e.id)
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push('id twice: ' + id)
  for (const e of document.querySelectorAll('a[href],button,input,select,textarea,summary')) {
    if (!seen(e) || e.type === 'hidden') continue
    const labels = e.labels ? [...e.labels].map(l => l.innerText).join('') : ''
    if (!(e.getAttribute('aria-label') || labels || (e.matches('input,select,textarea') ? '' : e.innerText) || e.title || e.querySelector('img[alt]:not([alt=""])'))?.toString().trim()) say(e, 'no name')
  }
  for (const e of document.querySelectorAll('img')) if (!e.hasAttribute('alt')) say(e, 'no alt')
  for (const e of document.querySelectorAll('svg[role=img],[role=img]')) if (!e.getAttribute('aria-label') && !e.querySelector('title')) say(e, 'a picture without a name')
  for (const e of document.querySelectorAll('th')) if (!e.scope && !e.closest('thead')) say(e, 'th without scope')
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true})
  const rgba = c => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); const d = canvas.getImageData(0, 0, 1, 1).data; return [d[0], d[1], d[2], d[3] / 255] }
  const over = (top, under) => top.slice(0, 3).map((v, i) => v * top[3] + under[i] * (1 - top[3])).concat(1)
  const light = c => { const [r, g, b] = c.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b }
  const base = matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18, 1] : [255, 255, 255, 1]
  const ground = e => { const list = []; for (; e; e = e.parentElement) list.push(rgba(getComputedStyle(e).backgroundColor)); return list.reverse().reduce((under, top) => over(top, under), base) }
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let n; (n = walk.nextNode());) {
    const e = n.parentElement
    if (!n.textContent.trim() || !seen(e) || e.closest('script,style,option,datalist,[aria-hidden=true]') || e.matches(':disabled')) continue
    const box = e.getBoundingClientRect()
    if (box.right <= 0 || box.bottom <= 0) continue // a skip link until it has the focus
    const style = getComputedStyle(e), under = ground(e)
    const ink = over(rgba(e.closest('svg') ? style.fill : style.color), under)
    const a = light(ink), b = light(under), ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    const size = parseFloat(style.fontSize), large = size >= 24 || size >= 18.66 && +style.fontWeight >= 700
    if (ratio < (large ? 3 : 4.5) - 0.01) wrong.push('contrast ' + ratio.toFixed(2) + ' of ' + JSON.stringify(n.textContent.trim().slice(0, 40)) + ' in ' + e.outerHTML.slice(0, 80))
  }
  if (document.documentElement.scrollWidth > innerWidth + 1) wrong.push('wider than the window: ' + document.documentElement.scrollWidth + ' of ' + innerWidth)
  return [...new Set(wrong)].slice(0, 12)
})()`

// Every page can be read by everybody: names, contrast in both schemes, headings in order, no scrolling sideways at a telephone's width, and
// the Tab key that comes by every control, in the order of the page, where the focus can be seen.
func TestPagesAreAccessible(t *testing.T) {
	page := browser.Open(t)
	fixture(t)
	address, _ := serveRun(t, "g.gimbal", "--state-dir", "live")
	inferAll(t, address, 900, 1, 2)
	time.Sleep(1500 * time.Millisecond) // the history writes once a second
	page.Go("http://" + address + "/guide")
	page.Eval(nil, `(() => {
		const main = document.querySelector('main')
		main.insertAdjacentHTML('beforeend', '<h5>x</h5><button></button><img><p>grey</p><p>wide</p>')
		const [grey, wide] = [...main.children].slice(-2)
		grey.style.cssText = 'color:#999;background:#ccc'
		wide.style.cssText = 'width:9999px;max-width:none'
	})()`)
	var bad []string
	if page.Eval(&bad, accessible); len(bad) != 5 {
		t.Errorf("of five mistakes these are found: %q", bad)
	}
	for _, path := range []string{"/", "/papers", "/papers?q=forgetting", "/papers/mcdonnell2023ranpac", "/methods", "/methods/detect/mahalanobis", "/claims", "/claims/detect/energy", "/guide", "/guide/start", "/guide/moments", "/digest"} {
		for _, dark := range []bool{false, true} {
			for _, width := range []int{1280, 360} {
				page.Size(width, 900, dark)
				page.Go("http://" + address + path)
				if path == "/" {
					page.Until("document.querySelectorAll('#queue input').length > 0")
				}
				var wrong []string
				page.Eval(&wrong, accessible)
				for _, w := range wrong {
					t.Errorf("%s, %d wide, dark %t: %s", path, width, dark, w)
				}
			}
		}
		page.Size(1280, 900, false)
		page.Eval(nil, "document.activeElement.blur()")
		var total int
		page.Eval(&total, `(window.order = [...document.querySelectorAll('a[href],button,input,select,textarea,summary,[tabindex="0"]')].filter(e => e.getClientRects().length && !e.disabled && e.tabIndex >= 0)).length`)
		at := -1
		for range min(total, 25) {
			page.Press("Tab")
			var now struct {
				Index int
				Seen  bool
				HTML  string
			}
			page.Eval(&now, `(() => { const e = document.activeElement, s = getComputedStyle(e); return {Index: window.order.indexOf(e), Seen: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0 || s.boxShadow !== 'none', HTML: e.outerHTML.slice(0, 100)} })()`)
			if now.Index != at+1 || !now.Seen {
				t.Errorf("%s: Tab number %d comes to control %d, its focus seen %t: %s", path, at+2, now.Index+1, now.Seen, now.HTML)
				break
			}
			at = now.Index
		}
	}
}
