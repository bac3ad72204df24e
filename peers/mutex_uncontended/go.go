package main

import (
	"fmt"
	"sync"
	"time"
)

func main() {
	given := readOptions()
	var mutex sync.Mutex
	value, operations := uint64(0), uint64(0)
	start := time.Now()
	for {
		for i := 0; i < 100000; i++ {
			mutex.Lock()
			value++
			mutex.Unlock()
		}
		operations += 100000
		elapsed := time.Since(start).Seconds()
		if elapsed >= given.seconds {
			if value != operations {
				panic("the protected value is wrong")
			}
			fmt.Printf("{\"value\": %.4f, \"unit\": \"M ops/s\", \"better\": \"higher\", \"ns_per_op\": %.3f}\n",
				float64(operations)/elapsed/1e6, elapsed*1e9/float64(operations))
			return
		}
	}
}
