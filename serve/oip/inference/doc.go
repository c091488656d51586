// Package inference holds the Open Inference Protocol's messages and service for gRPC, generated from inference.proto:
//
//	protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative inference.proto
//
// with protoc 35.1, protoc-gen-go 1.36.11 and protoc-gen-go-grpc 1.6.2.
package inference
