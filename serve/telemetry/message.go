package telemetry

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// The messages of OTLP in JSON: names in camel case, 64-bit integers as text, identifiers in hexadecimal.

type object map[string]any

type resource object

func newResource(attributes map[string]string) resource {
	all := map[string]any{}
	for k, v := range attributes {
		all[k] = v
	}
	return resource{"attributes": list(all)}
}

// list is attributes in the order of their names.
func list(attributes map[string]any) []object {
	out := []object{}
	for _, key := range slices.Sorted(maps.Keys(attributes)) {
		value := object{}
		switch v := attributes[key].(type) {
		case string:
			value["stringValue"] = v
		case int64:
			value["intValue"] = strconv.FormatInt(v, 10)
		case float64:
			value["doubleValue"] = v
		case bool:
			value["boolValue"] = v
		default:
			value["stringValue"] = fmt.Sprint(v)
		}
		out = append(out, object{"key": key, "value": value})
	}
	return out
}

func nanoseconds(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

var scope = object{"name": "gimbal"}

func (e *Exporter) traceMessage(batch []span) object {
	spans := make([]object, len(batch))
	for i := range batch {
		s := &batch[i]
		o := object{
			"traceId": hex.EncodeToString(s.trace[:]), "spanId": hex.EncodeToString(s.id[:]), "name": s.name, "kind": 2, // a server's
			"startTimeUnixNano": nanoseconds(s.begin), "endTimeUnixNano": nanoseconds(s.end), "attributes": list(s.attributes), "status": object{},
		}
		if s.parent.ok {
			o["parentSpanId"] = hex.EncodeToString(s.parent.span[:])
		}
		if s.failed {
			o["status"] = object{"code": 2}
		}
		spans[i] = o
	}
	return object{"resourceSpans": []object{{"resource": e.resource, "scopeSpans": []object{{"scope": scope, "spans": spans}}}}}
}

// Metric is a number that is sent now and then.
type Metric struct {
	Name, Help, Unit string
	Value            float64
	Total            bool // it only grows, from the start of the program on
	Attributes       map[string]any
}

// sendMetrics sends what the metrics are now.
func (e *Exporter) sendMetrics() {
	if e.metrics == "" {
		return
	}
	now := nanoseconds(time.Now())
	var metrics []object
	for _, m := range e.read() {
		point := object{"timeUnixNano": now, "asDouble": m.Value, "attributes": list(m.Attributes)}
		o := object{"name": m.Name, "description": m.Help, "unit": m.Unit}
		if m.Total {
			point["startTimeUnixNano"] = nanoseconds(e.begun)
			o["sum"] = object{"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": []object{point}} // cumulative
		} else {
			o["gauge"] = object{"dataPoints": []object{point}}
		}
		metrics = append(metrics, o)
	}
	if len(metrics) > 0 {
		e.note(e.post(e.metrics, object{"resourceMetrics": []object{{"resource": e.resource, "scopeMetrics": []object{{"scope": scope, "metrics": metrics}}}}}), 0)
	}
}
