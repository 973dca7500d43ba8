// Judges EncryptionConfiguration files with kube-apiserver's own loader: one question a line on stdin, one answer a line on stdout,
// both JSON. It needs no KMS plugin: whatever a loaded file started is cancelled at once.
//
// The folders of the other releases link to this file and have a load.go of their own.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"io"
	"log"
	"os"
	"path/filepath"
	"reflect"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/server/options/encryptionconfig"
	"k8s.io/apiserver/pkg/storage/value"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/klog/v2"
)

type question struct {
	// Config is the file.
	Config []byte `json:"config"`
	// Reload is --encryption-provider-config-automatic-reload.
	Reload bool `json:"reload"`
	// Resources are those of which the transformers are told.
	Resources []resource `json:"resources"`
	// Values are stored values, to be read as the file says.
	Values []stored `json:"values"`
}

type resource struct {
	Resource string `json:"resource"`
	Group    string `json:"group"`
}

func (r resource) group() schema.GroupResource {
	return schema.GroupResource{Group: r.Group, Resource: r.Resource}
}

type stored struct {
	resource
	// Path is the etcd key.
	Path []byte `json:"path"`
	// Value is what etcd holds.
	Value []byte `json:"value"`
}

type answer struct {
	// Refused is the loader's error; the rest is empty then.
	Refused string `json:"refused,omitempty"`
	// Prefixes are, for each resource, what the values of its transformers begin with, in their order: the first writes.
	Prefixes [][][]byte `json:"prefixes"`
	// Opened are the values.
	Opened []opened `json:"opened"`
}

type opened struct {
	Failed string `json:"failed,omitempty"`
	Plain  []byte `json:"plain"`
	Stale  bool   `json:"stale"`
}

func main() {
	gates := flag.String("feature-gates", "", "as of kube-apiserver")
	flag.Parse()
	klog.SetLogger(logr.Discard())
	if err := utilfeature.DefaultMutableFeatureGate.Set(*gates); err != nil {
		log.Fatal(err)
	}
	directory, err := os.MkdirTemp("", "encryption-config-")
	if err != nil {
		log.Fatal(err)
	}
	err = serve(filepath.Join(directory, "file"))
	os.RemoveAll(directory)
	if err != nil {
		log.Fatal(err)
	}
}

// serve answers until stdin ends.
func serve(path string) error {
	questions := json.NewDecoder(bufio.NewReader(os.Stdin))
	answers := json.NewEncoder(os.Stdout)
	for {
		var q question
		if err := questions.Decode(&q); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := os.WriteFile(path, q.Config, 0o600); err != nil {
			return err
		}
		if err := answers.Encode(q.answer(path)); err != nil {
			return err
		}
	}
}

func (q question) answer(path string) answer {
	ctx, cancel := context.WithCancel(context.Background())
	// Before the load: its first Status of a KMS v2 plugin fails then without a wait, which is no error.
	cancel()
	config, err := load(ctx, path, q.Reload)
	if err != nil {
		return answer{Refused: err.Error()}
	}
	transformers := encryptionconfig.StaticTransformers(config.Transformers)
	a := answer{Prefixes: [][][]byte{}, Opened: []opened{}}
	for _, r := range q.Resources {
		transformer := transformers.TransformerForResource(r.group())
		a.Prefixes = append(a.Prefixes, prefixes([]byte{}, reflect.ValueOf(transformer)))
	}
	for _, v := range q.Values {
		transformer := transformers.TransformerForResource(v.resource.group())
		plain, stale, err := transformer.TransformFromStorage(context.Background(), v.Value, value.DefaultContext(v.Path))
		o := opened{Plain: plain, Stale: stale}
		if err != nil {
			o.Failed = err.Error()
		}
		a.Opened = append(a.Opened, o)
	}
	return a
}

// prefixes looks into value.prefixTransformers, which nest: first the provider, then the key. A KMS provider that cannot be asked
// tells who it is in no other way.
func prefixes(before []byte, transformer reflect.Value) [][]byte {
	for transformer.Kind() == reflect.Pointer || transformer.Kind() == reflect.Interface {
		transformer = transformer.Elem()
	}
	if transformer.Kind() != reflect.Struct {
		return [][]byte{before}
	}
	// Since 1.32 a wrapper names the resource in metrics.
	if delegate := transformer.FieldByName("delegate"); delegate.IsValid() {
		return prefixes(before, delegate)
	}
	list := transformer.FieldByName("transformers")
	if transformer.Type().Name() != "prefixTransformers" {
		return [][]byte{before}
	}
	var all [][]byte
	for i := 0; i < list.Len(); i++ {
		one := list.Index(i)
		prefix := append(append([]byte{}, before...), one.FieldByName("Prefix").Bytes()...)
		all = append(all, prefixes(prefix, one.FieldByName("Transformer"))...)
	}
	return all
}
