// Compressed messages both ways, by grpc-go: the four cases of gRPC's doc/interop-test-descriptions.md that its own interop client does not have.
//
//	compressed ADDR
//
// A line each, "ok   CASE" or "FAIL CASE: why". How messages came is seen below the generated code, by their lengths.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// What takes milliseconds on an idle machine may take this long.
const patience = 20 * time.Second

// lengths notes of each message whether it was compressed on the wire.
type lengths struct {
	mutex    sync.Mutex
	in, out []bool
}

func (*lengths) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*lengths) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*lengths) HandleConn(context.Context, stats.ConnStats)                       {}

func (seen *lengths) HandleRPC(_ context.Context, what stats.RPCStats) {
	seen.mutex.Lock()
	defer seen.mutex.Unlock()
	switch message := what.(type) {
	case *stats.InPayload:
		seen.in = append(seen.in, message.CompressedLength < message.Length)
	case *stats.OutPayload:
		seen.out = append(seen.out, message.CompressedLength < message.Length)
	}
}

// take returns what was seen since it was last asked.
func (seen *lengths) take() (in, out []bool) {
	seen.mutex.Lock()
	defer seen.mutex.Unlock()
	in, out = seen.in, seen.out
	seen.in, seen.out = nil, nil
	return in, out
}

type client struct {
	testpb.TestServiceClient
	seen *lengths
}

// went fails unless so many messages went and came in this call, and were compressed so.
func (c client) went(out, in []bool) error {
	wasIn, wasOut := c.seen.take()
	if fmt.Sprint(wasIn, wasOut) != fmt.Sprint(in, out) {
		return fmt.Errorf("compressed out %v and in %v, not %v and %v", wasOut, wasIn, out, in)
	}
	return nil
}

func zeros(n int) *testpb.Payload { return &testpb.Payload{Body: make([]byte, n)} }

func boolean(value bool) *testpb.BoolValue { return &testpb.BoolValue{Value: value} }

func refused(err error) error {
	if code := status.Code(err); code != codes.InvalidArgument {
		return fmt.Errorf("%v instead of InvalidArgument: %v", code, err)
	}
	return nil
}

func (c client) clientCompressedUnary(ctx context.Context) error {
	ask := func(expect bool, options ...grpc.CallOption) error {
		reply, err := c.UnaryCall(ctx, &testpb.SimpleRequest{ExpectCompressed: boolean(expect), ResponseSize: 314159, Payload: zeros(271828)}, options...)
		if err == nil && len(reply.GetPayload().GetBody()) != 314159 {
			return fmt.Errorf("a reply of %d bytes", len(reply.GetPayload().GetBody()))
		}
		return err
	}
	// The probe: does the server look?
	if err := refused(ask(true)); err != nil {
		return err
	}
	if err := refused(ask(false, grpc.UseCompressor(gzip.Name))); err != nil {
		return err
	}
	c.seen.take()
	if err := errors.Join(ask(true, grpc.UseCompressor(gzip.Name)), c.went([]bool{true}, []bool{false})); err != nil {
		return err
	}
	return errors.Join(ask(false), c.went([]bool{false}, []bool{false}))
}

func (c client) serverCompressedUnary(ctx context.Context) error {
	for _, compressed := range []bool{true, false} {
		reply, err := c.UnaryCall(ctx, &testpb.SimpleRequest{ResponseCompressed: boolean(compressed), ResponseSize: 314159, Payload: zeros(271828)})
		if err != nil {
			return err
		}
		if n := len(reply.GetPayload().GetBody()); n != 314159 {
			return fmt.Errorf("a reply of %d bytes", n)
		}
		if err := c.went([]bool{false}, []bool{compressed}); err != nil {
			return err
		}
	}
	return nil
}

func (c client) clientCompressedStreaming(ctx context.Context) error {
	// This client compresses a call throughout or not at all.
	ask := func(sizes []int, options ...grpc.CallOption) (int32, error) {
		call, err := c.StreamingInputCall(ctx, options...)
		if err != nil {
			return 0, err
		}
		for _, size := range sizes {
			// A server that has answered already takes no more; its answer says why.
			if err := call.Send(&testpb.StreamingInputCallRequest{Payload: zeros(size), ExpectCompressed: boolean(true)}); err != nil {
				break
			}
		}
		reply, err := call.CloseAndRecv()
		return reply.GetAggregatedPayloadSize(), err
	}
	_, err := ask([]int{27182})
	if err := refused(err); err != nil {
		return err
	}
	c.seen.take()
	sum, err := ask([]int{27182, 45904}, grpc.UseCompressor(gzip.Name))
	if err == nil && sum != 73086 {
		err = fmt.Errorf("a sum of %d", sum)
	}
	return errors.Join(err, c.went([]bool{true, true}, []bool{false}))
}

func (c client) serverCompressedStreaming(ctx context.Context) error {
	parameters := []*testpb.ResponseParameters{{Size: 31415, Compressed: boolean(true)}, {Size: 92653, Compressed: boolean(false)}}
	call, err := c.StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{ResponseParameters: parameters})
	if err != nil {
		return err
	}
	for _, wanted := range parameters {
		reply, err := call.Recv()
		if err != nil {
			return err
		}
		if n := len(reply.GetPayload().GetBody()); n != int(wanted.GetSize()) {
			return fmt.Errorf("a reply of %d bytes", n)
		}
	}
	if _, err := call.Recv(); err != io.EOF {
		return fmt.Errorf("%v instead of the end", err)
	}
	return c.went([]bool{false}, []bool{true, false})
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: compressed ADDR")
		os.Exit(2)
	}
	seen := &lengths{}
	connection, err := grpc.NewClient("passthrough:///"+os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithStatsHandler(seen))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	c := client{testpb.NewTestServiceClient(connection), seen}
	nFailed := 0
	for _, one := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"client_compressed_unary", c.clientCompressedUnary},
		{"server_compressed_unary", c.serverCompressedUnary},
		{"client_compressed_streaming", c.clientCompressedStreaming},
		{"server_compressed_streaming", c.serverCompressedStreaming},
	} {
		seen.take()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err := one.run(ctx)
		cancel()
		if err != nil {
			nFailed++
			fmt.Printf("FAIL %s: %v\n", one.name, err)
		} else {
			fmt.Printf("ok   %s\n", one.name)
		}
	}
	if nFailed > 0 {
		os.Exit(1)
	}
}
