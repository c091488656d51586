package num

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestPathCanBeForced runs this test binary again with features switched off, as CI does.
func TestPathCanBeForced(t *testing.T) {
	if os.Getenv("GIMBAL_NUM_PATH") != "" {
		if want := os.Getenv("GIMBAL_NUM_PATH"); Path() != want {
			t.Fatalf("path is %s, want %s", Path(), want)
		}
		return
	}
	if len(available) == 1 {
		t.Skip("this machine has the portable path alone")
	}
	for _, p := range available[1:] {
		debug := "cpu.avx512f=off"
		if p.name == "portable" {
			debug += ",cpu.avx2=off,cpu.asimd=off"
		}
		cmd := exec.Command(os.Args[0], "-test.run", "^TestPathCanBeForced$|^TestGramIntHoldsItsBlocks$|^TestGemmScales$")
		cmd.Env = append(os.Environ(), "GODEBUG="+debug, "GIMBAL_NUM_PATH="+p.name)
		out, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.ENOEXEC) {
			t.Skip("under an emulator, which this machine does not call by itself")
		}
		if err != nil {
			t.Errorf("GODEBUG=%s: %v\n%s", debug, err, out)
		}
	}
}

// TestAssemblyIsUpToDate generates the assembly anew: the committed files must be what comes out.
func TestAssemblyIsUpToDate(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the generator")
	}
	if out, err := exec.Command("go", "-C", "asm", "mod", "download").CombinedOutput(); err != nil {
		t.Skipf("the generator's modules cannot be had here: %v %s", err, out)
	}
	dir := t.TempDir()
	if out, err := exec.Command("go", "-C", "asm", "run", ".", "-dir", dir).CombinedOutput(); err != nil {
		t.Fatalf("go -C asm run . : %v\n%s", err, out)
	}
	made, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(made) == 0 {
		t.Fatalf("the generator wrote nothing (%v)", err)
	}
	for _, path := range made {
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path)
		got, err := os.ReadFile(name)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what internal/num/asm writes (%v); run go generate ./internal/num", name, err)
		}
	}
}
