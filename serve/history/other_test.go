//go:build !unix

package history

import "os"

func postgres() (dsn string, stop func()) { return os.Getenv("GIMBAL_POSTGRES"), func() {} }

var started bool
