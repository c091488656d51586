//go:build unix

package history

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// postgres starts a PostgreSQL server on a socket of its own, where one is installed, and returns the URL of a fresh database; or takes
// $GIMBAL_POSTGRES, whose tables are then emptied. Where there is neither it returns "".
var postgres = sync.OnceValues(func() (dsn string, stop func()) {
	stop = func() {}
	if dsn = os.Getenv("GIMBAL_POSTGRES"); dsn != "" {
		return dsn, stop
	}
	initdb, err := exec.LookPath("initdb")
	if err != nil {
		return "", stop
	}
	server := filepath.Join(filepath.Dir(must(filepath.EvalSymlinks(initdb))), "postgres")
	if _, err := os.Stat(server); err != nil {
		return "", stop
	}
	dir := must(os.MkdirTemp("", "pg")) // a short name: a socket's path has 107 bytes at most
	var as *syscall.SysProcAttr
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			return "", stop
		}
		uid, gid := must(strconv.Atoi(u.Uid)), must(strconv.Atoi(u.Gid))
		as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		if err := os.Chown(dir, uid, gid); err != nil {
			return "", stop
		}
	}
	run := func(name string, args ...string) *exec.Cmd {
		c := exec.Command(name, args...)
		c.Dir, c.SysProcAttr, c.Env = dir, as, []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
		return c
	}
	if out, err := run(initdb, "-D", dir+"/d", "-U", "gimbal", "-A", "trust", "-N").CombinedOutput(); err != nil {
		panic(fmt.Sprintf("initdb: %v\n%s", err, out))
	}
	c := run(server, "-D", dir+"/d", "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=16MB")
	if err := c.Start(); err != nil {
		panic(err)
	}
	dsn = "postgres://gimbal@/postgres?host=" + url.QueryEscape(dir)
	db := must(sql.Open("pgx", dsn))
	defer db.Close()
	for range 500 { // until it has started
		if db.Ping() == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return dsn, func() {
		c.Process.Signal(syscall.SIGINT)
		c.Wait()
		os.RemoveAll(dir)
	}
})

func TestMain(m *testing.M) {
	code := m.Run()
	if started {
		_, stop := postgres()
		stop()
	}
	os.Exit(code)
}

var started bool
