// Google's own fake of Pub/Sub, listening on the address that it is given.
package main

import (
	"log"
	"os"

	"cloud.google.com/go/pubsub/v2/pstest"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: pubsub HOST:PORT")
	}
	pstest.NewServerWithAddress(os.Args[1])
	select {}
}
