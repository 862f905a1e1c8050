// Says how healthy objects are, as Argo CD and kstatus (Flux, `kubectl` plugins, Helm 4) see them.
//
//	health SCRIPT FILE…
//
// Each file holds one object as YAML; prints one line of JSON for each. The script runs in the interpreter that Argo CD
// embeds, with the libraries that Argo CD gives to a script from its configuration: base, package and table.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// health is an answer: the status, and the text beside it.
type health struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

type line struct {
	Argo    health `json:"argocd"`
	Kstatus health `json:"kstatus"`
}

// The statuses that Argo CD accepts from a script.
var argoStatuses = map[string]bool{
	"Healthy": true, "Progressing": true, "Degraded": true, "Suspended": true, "Missing": true, "Unknown": true,
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) < 3 {
		return errors.New("usage: health SCRIPT FILE…")
	}
	script, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	output := json.NewEncoder(os.Stdout)
	for _, file := range os.Args[2:] {
		answer, err := ask(string(script), file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := output.Encode(answer); err != nil {
			return err
		}
	}
	return nil
}

func ask(script, file string) (line, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return line{}, err
	}
	object := &unstructured.Unstructured{}
	if text, err = yaml.ToJSON(text); err != nil {
		return line{}, err
	}
	// This decoder makes integers of whole numbers, as both tools have them.
	if err := object.UnmarshalJSON(text); err != nil {
		return line{}, err
	}
	argo, err := askScript(script, object)
	if err != nil {
		return line{}, err
	}
	computed, err := status.Compute(object)
	if err != nil {
		return line{}, err
	}
	return line{Argo: argo, Kstatus: health{Status: computed.Status.String(), Message: computed.Message}}, nil
}

func askScript(script string, object *unstructured.Unstructured) (health, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}} {
		call := lua.P{Fn: state.NewFunction(library.open), Protect: true}
		if err := state.CallByParam(call, lua.LString(library.name)); err != nil {
			return health{}, err
		}
	}
	// Argo CD gives up on a script after this time.
	deadline, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(deadline)
	state.SetGlobal("obj", value(state, object.Object))
	if err := state.DoString(script); err != nil {
		return health{}, err
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return health{}, fmt.Errorf("the script returned a %s, not a table", state.Get(-1).Type())
	}
	answer := health{Status: table.RawGetString("status").String()}
	if message, ok := table.RawGetString("message").(lua.LString); ok {
		answer.Message = string(message)
	}
	if !argoStatuses[answer.Status] {
		return health{}, fmt.Errorf("Argo CD does not know the status %q", answer.Status)
	}
	return answer, nil
}

func value(state *lua.LState, from any) lua.LValue {
	switch from := from.(type) {
	case bool:
		return lua.LBool(from)
	case string:
		return lua.LString(from)
	case int64:
		return lua.LNumber(from)
	case float64:
		return lua.LNumber(from)
	case []any:
		table := state.CreateTable(len(from), 0)
		for _, item := range from {
			table.Append(value(state, item))
		}
		return table
	case map[string]any:
		table := state.CreateTable(0, len(from))
		for key, item := range from {
			table.RawSetString(key, value(state, item))
		}
		return table
	default:
		return lua.LNil
	}
}
