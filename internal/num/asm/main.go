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

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"

	// avo names an x/tools too old for this Go; the import keeps the newer one in go.mod.
	_ "golang.org/x/tools/go/packages"
)

// files maps an output's name, less its architecture, to what fills it.
var files = []struct {
	name  string
	amd64 func(*gen)
	arm64 func(*neon)
}{
	{"gemm", gemmFile, neonGemmFile},
	{"pack", packFile, neonPackFile},
	{"exact", exactFile, neonExactFile},
	{"nearest", nearestFile, neonNearestFile},
}

func main() {
	dir := flag.String("dir", "..", "folder to write to")
	flag.Parse()
	for _, f := range files {
		base := filepath.Join(*dir, f.name)
		if err := errors.Join(writeAMD64(base+"_amd64", f.amd64), writeARM64(base+"_arm64", f.arm64)); err != nil {
			fmt.Fprintf(os.Stderr, "asm: %s: %v\n", f.name, err)
			os.Exit(1)
		}
	}
}

// writeARM64 emits base.s and base.go.
func writeARM64(base string, emit func(*neon)) error {
	var a neon
	emit(&a)
	text, stubs := a.file()
	return errors.Join(os.WriteFile(base+".s", []byte(text), 0o644), os.WriteFile(base+".go", []byte(stubs), 0o644))
}

// writeAMD64 emits base.s and base.go.
func writeAMD64(base string, emit func(*gen)) error {
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
