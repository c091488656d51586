package serve

import (
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gimbal-ml/gimbal/serve/live"
	"github.com/gimbal-ml/gimbal/serve/oip"
)

// openAPI describes the routes, in the form of OpenAPI 3.1. All of it is read off the table and its types.
func (s *Server) openAPI() map[string]any {
	schemas := map[string]any{}
	paths := map[string]any{}
	for _, r := range s.routes {
		item, _ := paths[r.path].(map[string]any)
		if item == nil {
			item = map[string]any{}
			paths[r.path] = item
		}
		item[strings.ToLower(r.method)] = r.describe(schemas)
	}
	document := map[string]any{
		"openapi": "3.1.0",
		"info":    map[string]any{"title": "Gimbal", "version": s.options.Version, "license": map[string]any{"name": "Apache-2.0", "identifier": "Apache-2.0"}},
		"paths":   paths,
		"components": map[string]any{
			"schemas":         schemas,
			"securitySchemes": map[string]any{"token": map[string]any{"type": "http", "scheme": "bearer"}},
		},
	}
	return document
}

var pathParameter = regexp.MustCompile(`\{([a-z]+)\}`)

func (r *route) describe(schemas map[string]any) map[string]any {
	var parameters []any
	for _, m := range pathParameter.FindAllStringSubmatch(r.path, -1) {
		parameters = append(parameters, map[string]any{"name": m[1], "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
	}
	for _, q := range r.query {
		parameters = append(parameters, map[string]any{"name": q.name, "in": "query", "description": q.text, "schema": map[string]any{"type": "string"}})
	}
	content := func(v any, media string) map[string]any {
		if media != "" {
			return map[string]any{media: map[string]any{"schema": map[string]any{"type": "string"}}}
		}
		return map[string]any{"application/json": map[string]any{"schema": schemaOf(reflect.TypeOf(v), schemas)}}
	}
	failure := map[string]any{"description": "What went wrong", "content": content(oip.Error{}, "")}
	success := map[string]any{"description": "Done"}
	if r.out != nil || r.media != "" {
		success["content"] = content(r.out, r.media)
	}
	d := map[string]any{
		"summary": r.summary, "tags": []string{r.group}, "operationId": operationID(r.method, r.path),
		"responses": map[string]any{strconv.Itoa(r.success()): success, "default": failure},
	}
	if parameters != nil {
		d["parameters"] = parameters
	}
	if r.in != nil {
		d["requestBody"] = map[string]any{"required": true, "content": content(r.in, "")}
	}
	if r.role > Public {
		d["description"] = "Needs the role " + r.role.String() + " where the server has tokens."
		d["security"] = []any{map[string]any{"token": []string{}}}
	}
	return d
}

func (r *route) success() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}

// operationID makes one word of method and path.
func operationID(method, path string) string {
	words := strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '{' || r == '}' || r == '.' })
	return strings.ToLower(method) + "_" + strings.Join(words, "_")
}

// schemaOf describes a type; structs become named schemas.
func schemaOf(t reflect.Type, schemas map[string]any) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[number]():
		return map[string]any{"type": []string{"number", "null"}}
	case t.Kind() == reflect.Pointer:
		return schemaOf(t.Elem(), schemas)
	}
	switch t.Kind() {
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return map[string]any{"type": "integer"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem(), schemas)}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(t.Elem(), schemas)}
	case reflect.Struct:
		name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
		if t.PkgPath() == reflect.TypeFor[live.Status]().PkgPath() {
			name = "Stream" + name
		}
		if _, ok := schemas[name]; !ok {
			schemas[name] = nil // a type that holds itself
			schemas[name] = structSchema(t, schemas)
		}
		return map[string]any{"$ref": "#/components/schemas/" + name}
	}
	return map[string]any{} // anything
}

func structSchema(t reflect.Type, schemas map[string]any) map[string]any {
	properties, required := map[string]any{}, []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous {
			inner := structSchema(f.Type, schemas)
			maps.Copy(properties, inner["properties"].(map[string]any))
			required = append(required, inner["required"].([]string)...)
			continue
		}
		if name == "-" || !f.IsExported() {
			continue
		}
		property := schemaOf(f.Type, schemas)
		if text := f.Tag.Get("doc"); text != "" && property["$ref"] == nil {
			property["description"] = text
		}
		properties[name] = property
		if !strings.Contains(rest, "omit") {
			required = append(required, name)
		}
	}
	return map[string]any{"type": "object", "properties": properties, "required": required}
}

func (s *Server) getOpenAPI(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, s.openAPI())
	return nil
}
