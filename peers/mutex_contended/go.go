package main

import "sync"

func main() {
	given := readOptions()
	var shared struct {
		mutex      sync.Mutex
		state      uint64
		operations uint64
	}
	shared.state = 88172645463325252
	runGoroutines(given, func(i int) func() {
		ownState := 2685821657736338717 + uint64(i)
		return func() {
			shared.mutex.Lock()
			shared.state = work(shared.state, 20)
			shared.operations++
			shared.mutex.Unlock()
			ownState = work(ownState, 80)
		}
	})
}
