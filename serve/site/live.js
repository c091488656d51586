// The live page: how the guards stand, by server-sent events, and what their history keeps. Every value is set as text.
'use strict'
const $ = id => document.getElementById(id)
const token = () => sessionStorage.getItem('gimbal-token') || ''
const evidence = new Map() // by guard: points of time and evidence
let models = [], chosen = '', rowsSeen = -1, listening = false, follow = false

async function ask(path, body) {
  const headers = {}
  if (token()) headers.Authorization = 'Bearer ' + token()
  if (body) headers['Content-Type'] = 'application/json'
  const r = await fetch(path, {method: body ? 'POST' : 'GET', headers, body: body && JSON.stringify(body), cache: 'no-store'})
  if (r.status === 401 || r.status === 403) $('token').hidden = false
  if (!r.ok) throw new Error((await r.json().catch(() => ({}))).error || 'status ' + r.status)
  return r.json()
}

// Events come through fetch, for an EventSource sends no token.
async function listen() {
  if (listening) return
  listening = true
  for (;;) {
    try {
      const headers = token() ? {Authorization: 'Bearer ' + token()} : {}
      const r = await fetch('/v1/events', {headers, cache: 'no-store'})
      if (r.status === 401 || r.status === 403) { $('token').hidden = false; say('A token is needed.'); listening = false; return }
      $('token').hidden = true
      const reader = r.body.pipeThrough(new TextDecoderStream()).getReader()
      let text = ''
      for (;;) {
        const {done, value} = await reader.read()
        if (done) break
        text += value
        let at
        while ((at = text.indexOf('\n\n')) >= 0) {
          const line = text.slice(0, at)
          text = text.slice(at + 2)
          if (line.startsWith('data: ')) { const now = JSON.parse(line.slice(6)); $('mail').hidden = !now.mail; stand(now.models) }
        }
      }
    } catch (e) { say('The server does not answer; trying again.') }
    await new Promise(done => setTimeout(done, 2000))
  }
}

const say = text => { if ($('state').textContent !== text) $('state').textContent = text }
const short = v => Math.abs(v) >= 1e5 || v !== 0 && Math.abs(v) < 1e-3 ? v.toExponential(2) : String(+v.toPrecision(4))

function stand(list) {
  models = list
  const guards = list.filter(m => m.guard)
  say(list.length === 0 ? 'Nothing is served yet.' : guards.length === 0 ? `${list.length} model${list.length > 1 ? 's are' : ' is'} served, none of them a guard.` : `${guards.length} guard${guards.length > 1 ? 's' : ''} at work.`)
  $('models').hidden = guards.length < 2
  const names = guards.map(m => m.name)
  const select = $('model')
  if ([...select.options].map(o => o.value).join() !== names.join()) select.replaceChildren(...names.map(n => new Option(n, n)))
  if (!names.includes(chosen)) { chosen = names[0] || ''; rowsSeen = -1 }
  select.value = chosen
  $('guard').hidden = !chosen
  for (const m of guards) {
    const points = evidence.get(m.name) || []
    points.push({at: Date.now(), value: m.guard.stream.evidence})
    evidence.set(m.name, points.slice(-600))
  }
  const m = guards.find(m => m.name === chosen)
  if (!m) return
  figures(m.guard)
  drift(m.guard)
  $('classes').replaceChildren(...m.guard.classes.map(c => new Option(c)))
  const seen = m.guard.stream.rows * 1e3 + m.guard.stream.generation
  if (seen !== rowsSeen) { rowsSeen = seen; refresh() }
}

function figures(g) {
  const s = g.stream, rate = s.rows ? (100 * s.refused / s.rows).toFixed(1) + ' %' : '–'
  const list = [
    ['Rows judged', String(s.rows), '', ''],
    ['Refused', rate, `${100 * g.alpha} % of familiar rows are allowed`, ''],
    ['Drift', s.alarm_row ? 'alarm' : 'silent', s.alarm_row ? `at row ${s.alarm_row} of this stream` : `evidence ${s.evidence.toFixed(1)}, the alarm is at ${s.threshold.toFixed(1)}`, s.alarm_row ? 'bad' : 'good'],
    ['Classes', String(g.classes.length), g.classes.slice(0, 6).join(', ') + (g.classes.length > 6 ? ' …' : ''), ''],
    ['Learned from', String(g.rows), `${g.calibration_rows} more to calibrate; ${g.detector}`, ''],
  ]
  $('figures').replaceChildren(...list.map(([name, value, note, sign]) => {
    const div = document.createElement('div')
    div.className = sign
    for (const [tag, text, kind] of [['dt', name, ''], ['dd', value, 'number'], ['dd', note, 'note']]) {
      const e = document.createElement(tag)
      e.textContent = text
      e.className = kind
      div.append(e)
    }
    return div
  }))
}

function svg(width, height, shapes) {
  const ns = 'http://www.w3.org/2000/svg'
  const root = document.createElementNS(ns, 'svg')
  root.setAttribute('viewBox', `0 0 ${width} ${height}`)
  root.setAttribute('class', 'live')
  for (const [tag, attributes, text] of shapes) {
    const e = document.createElementNS(ns, tag)
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v)
    if (text) e.textContent = text
    root.append(e)
  }
  return root
}

function drift(g) {
  const points = evidence.get(chosen) || []
  const w = 640, h = 160, low = Math.min(-1, ...points.map(p => p.value)), high = Math.max(g.stream.threshold * 1.15, ...points.map(p => p.value))
  const y = v => h - 18 - (v - low) / (high - low) * (h - 28)
  const t0 = points[0]?.at || 0, t1 = Math.max(points.at(-1)?.at || 1, t0 + 60e3)
  const path = points.map((p, i) => `${i ? 'L' : 'M'}${(40 + (p.at - t0) / (t1 - t0) * (w - 50)).toFixed(1)} ${y(p.value).toFixed(1)}`).join('')
  $('drift').replaceChildren(svg(w, h, [
    ['line', {x1: 40, x2: w - 10, y1: y(g.stream.threshold), y2: y(g.stream.threshold), class: 'line'}],
    ['text', {x: 36, y: y(g.stream.threshold) + 4, 'text-anchor': 'end'}, g.stream.threshold.toFixed(1)],
    ...(Math.abs(y(0) - y(g.stream.threshold)) > 16 ? [['text', {x: 36, y: y(0) + 4, 'text-anchor': 'end'}, '0']] : []),
    ['path', {d: path + (points.length === 1 ? 'h4' : ''), class: 'curve'}],
    ['text', {x: w - 10, y: h - 2, 'text-anchor': 'end'}, Math.round((t1 - t0) / 1000) + ' s'],
  ]))
}

async function refresh() {
  const at = '/v1/models/' + encodeURIComponent(chosen)
  try {
    const [p, scored, odd, queue, worst, alarms] = await Promise.all(['/p-values', '/scores', '/columns', '/decisions?n=10', '/decisions?order=unfamiliar&n=5', '/alarms'].map(path => ask(at + path)))
    bars(p.slices)
    scores(scored)
    columns(odd)
    if (![...$('queue').querySelectorAll('input')].some(i => i === document.activeElement || i.value && !i.disabled)) { // nobody is writing there
      $('queue').replaceChildren(...queue.decisions.map(d => item(d, true)))
      if (!queue.decisions.length) $('queue').replaceChildren(plain('li', 'Nothing waits.'))
      const next = $('queue').querySelector('input')
      if (follow && next && document.activeElement === document.body) next.focus() // on to the next row, for who has no mouse
      follow = false
    }
    $('worst').replaceChildren(...worst.decisions.map(d => item(d, false)))
    if (!worst.decisions.length) $('worst').replaceChildren(plain('li', 'No row was unusual yet.'))
    const told = [...alarms.alarms.map(a => [a.at, `drift alarm at row ${a.row} of stream ${a.stream}`]), ...alarms.told.map(f => [f.at, `${f.verb} ${f.rows} row${f.rows > 1 ? 's' : ''}${f.class ? ' of ' + f.class : ''}`])]
    told.sort((a, b) => a[0] < b[0] ? 1 : -1)
    $('alarms').replaceChildren(...told.slice(0, 20).map(([when, text]) => plain('li', new Date(when).toLocaleString() + ' – ' + text)))
    if (!told.length) $('alarms').replaceChildren(plain('li', 'No alarm, and nothing told.'))
  } catch (e) {
    for (const id of ['scores', 'columns']) $(id).replaceChildren()
    for (const id of ['queue', 'worst', 'alarms']) $(id).replaceChildren(plain('li', e.message))
    $('bars').replaceChildren(plain('p', e.message))
  }
}

const plain = (tag, text, kind) => {
  const e = document.createElement(tag)
  e.textContent = text
  if (kind) e.className = kind
  return e
}

function bars(slices) {
  const counts = Array(20).fill(0)
  let total = 0
  for (const s of slices) for (const b of s.bins) { counts[Math.min(19, Math.floor((b.low + b.high) / 2 * 20))] += b.rows; total += b.rows }
  if (!total) { $('bars').replaceChildren(plain('p', 'No rows yet.')); return }
  const w = 640, h = 160, top = Math.max(...counts, total / 20 * 1.3), shapes = []
  counts.forEach((c, i) => shapes.push(['rect', {x: 10 + i * 31, width: 29, y: h - 20 - c / top * (h - 30), height: c / top * (h - 30), class: i ? 'bar' : 'bar odd'}]))
  const y = h - 20 - total / 20 / top * (h - 30)
  shapes.push(['line', {x1: 10, x2: w - 10, y1: y, y2: y, class: 'line'}], ['text', {x: 10, y: h - 4}, '0'], ['text', {x: w - 10, y: h - 4, 'text-anchor': 'end'}, '1'])
  $('bars').replaceChildren(svg(w, h, shapes))
}

// scores lays the rows judged over the reference, in at most forty columns; where neither has a row there is no column.
function scores(list) {
  const all = new Map()
  const add = (bins, side) => { for (const b of bins) { const at = all.get(b.low) || {low: b.low, high: b.high, seen: 0, usual: 0}; at[side] += b.rows; all.set(b.low, at) } }
  for (const s of list.slices) add(s.bins, 'seen')
  add(list.reference || [], 'usual')
  const bins = [...all.values()].sort((a, b) => a.low - b.low)
  const total = side => bins.reduce((sum, b) => sum + b[side], 0)
  const seen = total('seen'), usual = total('usual')
  if (!seen || !usual) { $('scores').replaceChildren(plain('p', 'No rows yet.')); return }
  const each = Math.ceil(bins.length / 40), groups = []
  bins.forEach((b, i) => {
    if (i % each === 0) groups.push({low: b.low, high: b.high, seen: 0, usual: 0})
    const g = groups.at(-1)
    g.high = b.high; g.seen += b.seen / seen; g.usual += b.usual / usual
  })
  const w = 640, h = 160, step = (w - 20) / groups.length, top = Math.max(...groups.map(g => Math.max(g.seen, g.usual))), shapes = []
  const y = share => h - 20 - share / top * (h - 40)
  let limit = 10 + groups.length * step
  groups.forEach((g, i) => {
    const x = 10 + i * step
    if (g.low > list.threshold) limit = Math.min(limit, x)
    else if (g.high >= list.threshold) limit = x + step * (g.high > g.low ? (list.threshold - g.low) / (g.high - g.low) : 1)
    if (g.seen) shapes.push(['rect', {x: x + 1, width: Math.max(1, step - 2), y: y(g.seen), height: h - 20 - y(g.seen), class: g.low > list.threshold ? 'bar odd' : 'bar'}])
  })
  shapes.push(['path', {d: groups.map((g, i) => `${i ? 'L' : 'M'}${10 + i * step} ${y(g.usual)}H${10 + (i + 1) * step}`).join(''), class: 'outline'}])
  shapes.push(['line', {x1: limit, x2: limit, y1: 17, y2: h - 20, class: 'line'}], ['text', {x: limit, y: 13, 'text-anchor': limit > w / 2 ? 'end' : 'start'}, 'threshold ' + short(list.threshold)])
  shapes.push(['text', {x: 10, y: h - 4}, short(groups[0].low)], ['text', {x: w - 10, y: h - 4, 'text-anchor': 'end'}, short(groups.at(-1).high)])
  $('scores').replaceChildren(svg(w, h, shapes))
}

const signed = v => (v < 0 ? '−' : '+') + (Math.abs(v) >= 1e6 ? 'very far' : short(Math.abs(v)))

function columns(list) {
  if (!list.columns.length) { $('columns').replaceChildren(plain('p', 'No row was refused yet.')); return }
  const table = document.createElement('table'), body = document.createElement('tbody'), head = document.createElement('thead'), top = document.createElement('tr')
  for (const name of ['Column', 'Deviations', 'Rows']) { const th = plain('th', name); th.scope = 'col'; top.append(th) }
  head.append(top)
  for (const c of list.columns.slice(0, 8)) {
    const tr = document.createElement('tr'), name = plain('th', c.column)
    name.scope = 'row'
    tr.append(name, plain('td', signed(c.deviations), 'number'), plain('td', `${c.rows} of ${list.rows}`, 'number'))
    body.append(tr)
  }
  table.append(head, body)
  $('columns').replaceChildren(table)
}

function item(d, ask4) {
  const li = document.createElement('li')
  li.append(plain('p', `${new Date(d.at).toLocaleString()} – score ${short(d.ood_score)}, p ${short(d.p_value)}, ${d.accept ? 'accepted' : 'refused'}${d.label ? ', nearest class ' + d.label : ''}`))
  li.append(plain('p', d.values.slice(0, 5).map(v => `${v.column} ${short(v.value)} (${signed(v.deviations)})`).join(',  '), 'about'))
  if (!ask4) return li
  const form = document.createElement('form')
  form.className = 'label'
  const label = plain('label', 'Class ')
  const input = document.createElement('input')
  input.setAttribute('list', 'classes')
  input.required = true
  input.maxLength = 200
  label.append(input)
  const said = plain('span', '', 'count')
  said.setAttribute('role', 'status')
  form.append(label, plain('button', 'Teach'), said)
  form.addEventListener('submit', async e => {
    e.preventDefault()
    try {
      const answer = await ask(`/v1/models/${encodeURIComponent(chosen)}/decisions/${d.id}/label`, {class: input.value.trim()})
      said.textContent = `taught as ${answer.class}`
      form.querySelector('button').disabled = input.disabled = true
      follow = true
      rowsSeen = -1
    } catch (e) { said.textContent = e.message }
  })
  li.append(form)
  return li
}

$('mail').addEventListener('submit', async e => {
  e.preventDefault()
  try {
    await ask('/v1/alarms/subscriptions', {address: $('address').value.trim()})
    $('mailed').textContent = 'a letter with a link is on its way'
  } catch (e) { $('mailed').textContent = e.message }
})
$('model').addEventListener('change', e => { chosen = e.target.value; rowsSeen = -1; stand(models) })
$('token').addEventListener('submit', e => { e.preventDefault(); sessionStorage.setItem('gimbal-token', $('secret').value.trim()); $('secret').value = ''; listen() })
listen()
