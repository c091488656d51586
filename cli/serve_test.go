package cli

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Without tokens the server listens to this machine alone, whatever an address looks like.
func TestServeRefusesToBeOpen(t *testing.T) {
	fixture(t)
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:80", "example.org:80"} {
		for _, flag := range []string{"--http", "--grpc"} {
			r := gimbal("serve", "g.gimbal", "--http", "off", "--grpc", "off", flag, address)
			if r.code != exitUsage || !strings.Contains(r.errOut, "can be reached from other machines") {
				t.Errorf("%s %s: exit %d: %s", flag, address, r.code, r.errOut)
			}
		}
	}
	for _, c := range [][]string{
		{"serve"}, {"serve", "g.gimbal", "--http", "off", "--grpc", "off"}, {"serve", "g.gimbal", "--http", "8080"}, {"serve", "g.gimbal", "--log", "xml"}, {"serve", "g.gimbal", "--log-level", "loud"},
		{"serve", "g.gimbal", "--tls-cert", "c.pem"}, {"serve", "g.gimbal", "--tls-client-ca", "c.pem"}, {"serve", "g.gimbal", "--max-body", "0"}, {"serve", "g.gimbal", "--rate=-1"},
	} {
		if r := gimbal(c...); r.code != exitUsage {
			t.Errorf("gimbal %s: exit %d: %s", strings.Join(c, " "), r.code, r.errOut)
		}
	}
	if err := os.WriteFile("tokens", []byte("read 0123"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][]string{{"serve", "missing.gimbal", "--http", "127.0.0.1:0", "--grpc", "off"}, {"serve", "g.gimbal", "--tokens", "missing"}, {"serve", "g.gimbal", "--tokens", "tokens"}, {"serve", "train.csv", "--http", "127.0.0.1:0", "--grpc", "off"}} {
		if r := gimbal(c...); r.code == 0 || strings.Contains(r.errOut, "0123") {
			t.Errorf("gimbal %s: exit %d: %s", strings.Join(c, " "), r.code, r.errOut)
		}
	}
}

// The program serves until it is told to stop, and then ends well.
func TestServeEndsWellAtSIGTERM(t *testing.T) {
	fixture(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	var log strings.Builder
	cmd := exec.Command(filepath.Join(program(t), "gimbal"), "serve", "g.gimbal", "--http", address, "--grpc", "off")
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			cmd.Process.Kill()
			t.Fatal("it does not listen")
		}
	}
	cmd.Process.Signal(syscall.SIGHUP)
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, log.String())
	}
	if !strings.Contains(log.String(), "msg=stopped") {
		t.Errorf("%s", log.String())
	}
}
