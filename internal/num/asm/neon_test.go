package main

import (
	"encoding/binary"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/arch/arm64/arm64asm"
)

// TestWordsAreWhatTheySay decodes every WORD of the arm64 kernels: it must be the instruction that its comment names.
func TestWordsAreWhatTheySay(t *testing.T) {
	line := regexp.MustCompile(`^\tWORD \$0x([0-9a-f]{8}) // (.+)$`)
	seen := map[string]int{}
	for _, f := range neonFiles {
		var a neon
		f.emit(&a)
		text, _ := a.file()
		for row, s := range strings.Split(text, "\n") {
			if !strings.Contains(s, "WORD") {
				continue
			}
			m := line.FindStringSubmatch(s)
			if m == nil {
				t.Errorf("%s.s:%d: %q is not a WORD with its instruction", f.name, row+1, s)
				continue
			}
			code, err := strconv.ParseUint(m[1], 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			inst, err := arm64asm.Decode(binary.LittleEndian.AppendUint32(nil, uint32(code)))
			if err != nil {
				t.Errorf("%s.s:%d: %s, said to be %q: %v", f.name, row+1, m[1], m[2], err)
				continue
			}
			if got := arm64asm.GNUSyntax(inst); got != m[2] {
				t.Errorf("%s.s:%d: %s is %q, said to be %q", f.name, row+1, m[1], got, m[2])
			}
			name, _, _ := strings.Cut(m[2], " ")
			seen[name]++
		}
	}
	for _, name := range []string{"fmla", "fmul", "fadd", "fsub", "fcmgt", "facge", "frintn", "fcvtzs", "fcvtl", "fcvtl2", "faddp", "bic"} {
		if seen[name] == 0 {
			t.Errorf("no %s was decoded", name)
		}
	}
}

// TestArgumentsLieWhereGoPutsThem checks offsets against the layout that go vet holds the kernels to.
func TestArgumentsLieWhereGoPutsThem(t *testing.T) {
	var a neon
	a.begin("f", "func(a *uint8, b, c float32, d float32, n int) (r int)", "f is nothing.")
	want := map[string]int{"a": 0, "b": 8, "c": 12, "d": 16, "n": 24, "r": 32}
	for name, offset := range want {
		if a.args[name] != offset {
			t.Errorf("%s lies at %d, want %d", name, a.args[name], offset)
		}
	}
	text, stubs := a.file()
	if !strings.Contains(text, "TEXT ·f(SB), NOSPLIT, $0-40\n") || !strings.Contains(stubs, "func f(a *uint8, b float32, c float32, d float32, n int) (r int)\n") {
		t.Errorf("the function is declared as\n%s\n%s", text, stubs)
	}
}
