//go:build race

package methodtest

// raceEnabled widens time limits: the race detector makes code up to ten times slower.
const raceEnabled = true
