package open

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

func texts(t *testing.T, path string, o Options) (all []Text, err error) {
	for x, err := range Texts(t.Context(), path, o) {
		if err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return all, nil
}

func TestTexts(t *testing.T) {
	for _, c := range []struct {
		name, content string
		o             Options
		want          string
	}{
		{"t.csv", "text,category\n\"hello, you\",greet\nbye,\n", Options{Label: "category"}, "[{hello, you greet  } {bye   }]"},
		{"t.csv", "id,text,g\n7,hello,1.0\n8,bye,2.0\n", Options{ID: "id", Group: "g"}, "[{hello  1 7} {bye  2 8}]"},
		{"t.tsv", "My \"favourite\"\t27\n\"Oh no\t3\n", Options{Label: "2"}, "[{My \"favourite\" 27  } {\"Oh no 3  }]"},
		{"t.txt", "good\t1\nbad\t0\n", Options{Label: "2"}, "[{good 1  } {bad 0  }]"},
		{"t.txt", "good\t1\nbad\t0\n", Options{}, "[{good   } {bad   }]"},
		{"t.jsonl", `{"sentence":"a","lang":"en","intent":"x","v":[1]}` + "\n" + `{"sentence":"b","lang":"de","intent":null,"v":[2]}`, Options{Label: "intent"}, "[{a x  } {b   }]"},
		{"t.jsonl", `{"s":"a","r":"b"}`, Options{Text: "r"}, "[{b   }]"},
		{"t.txt", "one line, with a comma\n\nanother, too\n", Options{}, "[{one line, with a comma   } {another, too   }]"},
		{"t", "{not json}\n", Options{Format: "lines"}, "[{{not json}   }]"},
		{"t.txt", "\ufeffwith a mark\r\nlast", Options{}, "[{with a mark   } {last   }]"},
	} {
		got, err := texts(t, put(t, c.name, []byte(c.content)), c.o)
		if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v %v, want %s", c.content, got, err, c.want)
		}
		if got, err := texts(t, put(t, c.name+".gz", squeeze([]byte(c.content))), c.o); err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%s in gzip: %v %v", c.content, got, err)
		}
	}
	side := put(t, "l.txt", []byte("x\ny\n"))
	if got, err := texts(t, put(t, "t.txt", []byte("one\ntwo\n")), Options{Format: "lines", Label: side}); err != nil || fmt.Sprint(got) != "[{one x  } {two y  }]" {
		t.Errorf("labels beside lines: %v %v", got, err)
	}
	if got, err := texts(t, put(t, "t.csv", []byte("text\none\ntwo\n")), Options{Label: side}); err != nil || fmt.Sprint(got) != "[{one x  } {two y  }]" {
		t.Errorf("labels beside a column: %v %v", got, err)
	}
}

func TestTextsRefuse(t *testing.T) {
	side := put(t, "l.txt", []byte("x\ny\n"))
	for _, c := range []struct {
		name, content string
		o             Options
		want          error
		words         string
	}{
		{"t.csv", "a,b\nx,y\n", Options{}, data.ErrFormat, "which column holds the text? --text NAME chooses; columns are a, b"},
		{"t.csv", "a,b\nx,y\n", Options{Text: "c"}, data.ErrFormat, `--text: no column "c"`},
		{"t.csv", "a,b\nx,y\n", Options{Text: "a", Label: "c"}, data.ErrLabels, `--label: no column "c"`},
		{"t.csv", "text\n", Options{Text: "text"}, data.ErrFormat, "holds a header and no rows"},
		{"t.csv", "text,l\na,b\nc\n", Options{Text: "text"}, data.ErrShape, "line 3"},
		{"t.txt", "", Options{}, data.ErrFormat, "is empty"},
		{"t.txt", "\n\n", Options{}, data.ErrFormat, "holds no text"},
		{"t.txt", "a\x00b", Options{Format: "lines"}, data.ErrFormat, "is no text"},
		{"t.txt", "1\n2\n3\n", Options{Format: "lines", Label: side}, data.ErrShape, "has 2 entries, there are more texts"},
		{"t.txt", "1\n", Options{Format: "lines", Label: side}, data.ErrShape, "has 2 entries for 1 rows"},
	} {
		path := put(t, c.name, []byte(c.content))
		_, err := texts(t, path, c.o)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.words) || !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("%q: %v, want %v with %q", c.content, err, c.want, c.words)
		}
	}
	path := put(t, "t.txt", []byte("a\nb\n"))
	for range Texts(t.Context(), path, Options{}) {
		break // no second call after this
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range Texts(ctx, path, Options{}) {
		if err != context.Canceled {
			t.Errorf("cancelled: %v", err)
		}
	}
}
