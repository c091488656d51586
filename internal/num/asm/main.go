// Command asm writes the assembly kernels of internal/num, with their Go stubs:
//
//	go run . -dir ..
//
// It is a module of its own, so that the product needs neither avo nor anything that avo needs.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
	"github.com/mmcloughlin/avo/reg"

	// avo names an x/tools too old for this Go; the import keeps the newer one in go.mod.
	_ "golang.org/x/tools/go/packages"
)

// files maps an output's base name to what fills it.
var files = []struct {
	name string
	emit func(*gen)
}{
	{"gemm_amd64", gemmFile},
	{"pack_amd64", packFile},
	{"exact_amd64", exactFile},
	{"nearest_amd64", nearestFile},
	{"vector_amd64", vectorFile},
	{"adam_amd64", adamFile},
	{"activation_amd64", activationFile},
	{"rows_amd64", rowsFile},
	{"gemv_amd64", gemvFile},
	{"double_amd64", doubleFile},
}

var neonFiles = []struct {
	name string
	emit func(*neon)
}{
	{"gemm_arm64", neonGemmFile},
	{"pack_arm64", neonPackFile},
	{"exact_arm64", neonExactFile},
	{"nearest_arm64", neonNearestFile},
}

func main() {
	dir := flag.String("dir", "..", "folder to write to")
	flag.Parse()
	for _, f := range files {
		if err := write(filepath.Join(*dir, f.name), f.emit); err != nil {
			fmt.Fprintf(os.Stderr, "asm: %s: %v\n", f.name, err)
			os.Exit(1)
		}
	}
	for _, f := range neonFiles {
		if err := writeNEON(filepath.Join(*dir, f.name), f.emit); err != nil {
			fmt.Fprintf(os.Stderr, "asm: %s: %v\n", f.name, err)
			os.Exit(1)
		}
	}
}

// write emits base.s and base.go.
func write(base string, emit func(*gen)) error {
	g := &gen{build.NewContext(), map[string]operand.Mem{}}
	g.ConstraintExpr("amd64")
	emit(g)
	file, err := g.Result()
	if err != nil {
		return err
	}
	if err := pass.Compile.Execute(file); err != nil {
		return err
	}
	if err := checkRegisters(file); err != nil {
		return err
	}
	cfg := printer.Config{Name: "internal/num/asm", Pkg: "num"}
	for ext, p := range map[string]printer.Printer{".s": printer.NewGoAsm(cfg), ".go": printer.NewStubs(cfg)} {
		out, err := p.Print(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(base+ext, out, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// checkRegisters refuses AVX2 kernels that use registers which only AVX-512 has: the allocator knows no difference.
func checkRegisters(file *ir.File) error {
	for _, f := range file.Functions() {
		if !strings.Contains(f.Name, "AVX2") {
			continue
		}
		for _, i := range f.Instructions() {
			for _, r := range i.Registers() {
				if p, ok := r.(reg.Physical); ok && r.Kind() == reg.KindVector && p.PhysicalIndex() >= 16 {
					return fmt.Errorf("%s: %s: too few registers: %s", f.Name, i.Opcode, p.Asm())
				}
			}
		}
	}
	return nil
}

// writeNEON emits base.s and base.go.
func writeNEON(base string, emit func(*neon)) error {
	var a neon
	emit(&a)
	text, stubs := a.file()
	return errors.Join(os.WriteFile(base+".s", []byte(text), 0o644), os.WriteFile(base+".go", []byte(stubs), 0o644))
}
