// Command gimbal is the whole house at the command line.
package main

import (
	"os"

	"github.com/gimbal-ml/gimbal/catalog"
	"github.com/gimbal-ml/gimbal/cli"
)

func main() { os.Exit(cli.Main(catalog.All())) }
