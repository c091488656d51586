//go:build !race

package methodtest

// raceEnabled: see race.go.
const raceEnabled = false
