#!/usr/bin/perl
# The least that is an app: answers each request with its process's number. A clean Debian has this interpreter and no other.
use strict;
use warnings;
use IO::Socket::INET;

$SIG{TERM} = sub { exit 0 };
my $listener = IO::Socket::INET->new(LocalAddr => $ENV{HOST}, LocalPort => $ENV{PORT}, Listen => 16, ReuseAddr => 1) or die "listen: $!";
while (1) {
  my $client = $listener->accept or next;
  while (my $line = <$client>) { last if $line =~ /^\r?\n$/ }
  my $body = "pid $$\n";
  print $client "HTTP/1.1 200 OK\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n$body";
  close $client;
}
