// CommP of the payload of bench/piece.sh with go-fil-commp-hashhash: prints the commitment and the least seconds
// of processor time of several runs.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"syscall"

	commp "github.com/filecoin-project/go-fil-commp-hashhash"
)

// cpuSeconds is what all threads of the process used.
func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(usage.Utime) + seconds(usage.Stime)
}

func main() {
	mib, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	payload := make([]byte, mib<<20)
	for i := 0; i < len(payload); i += 8 {
		binary.LittleEndian.PutUint64(payload[i:], uint64(i/8)*0x9E3779B97F4A7C15)
	}
	best := 1e9
	var root []byte
	for run := 0; run < 5; run++ {
		before := cpuSeconds()
		calc := new(commp.Calc)
		// Small writes, as its users make: large ones are slower in some hashers.
		for at := 0; at < len(payload); at += 32 << 10 {
			calc.Write(payload[at:min(at+32<<10, len(payload))])
		}
		root, _, err = calc.Digest()
		if err != nil {
			panic(err)
		}
		if spent := cpuSeconds() - before; spent < best {
			best = spent
		}
	}
	fmt.Printf("%x %.6f\n", root, best)
}
