# Completion of sluice for fish. Install in a vendor_completions.d directory.

function __sluice_in_run
    set -l words (commandline -opc)
    test (count $words) -ge 2; and test $words[2] = run
end

complete -c sluice -f
complete -c sluice -n __fish_use_subcommand -a run -d 'Start a command in a network namespace'
complete -c sluice -n __fish_use_subcommand -a help -d 'Print the help'
complete -c sluice -n __fish_use_subcommand -s h -l help -d 'Print the help'
complete -c sluice -n __fish_use_subcommand -s V -l version -d 'Print the version'
complete -c sluice -n '__fish_seen_subcommand_from help' -a run

complete -c sluice -n __sluice_in_run -l address -x -d 'Address of the guest, with prefix length'
complete -c sluice -n __sluice_in_run -l gateway -x -d 'Address of the gateway'
complete -c sluice -n __sluice_in_run -l dns -x -d 'Address where DNS is answered'
complete -c sluice -n __sluice_in_run -l no-dns -d 'Do not relay DNS'
complete -c sluice -n __sluice_in_run -s 4 -l ipv4-only -d 'No IPv6'
complete -c sluice -n __sluice_in_run -s 6 -l ipv6-only -d 'No IPv4'
complete -c sluice -n __sluice_in_run -l mtu -x -d 'Largest IP packet'
complete -c sluice -n __sluice_in_run -l mac -x -d 'Hardware address of the guest'
complete -c sluice -n __sluice_in_run -l interface -x -d 'Name of the guest\'s interface'
complete -c sluice -n __sluice_in_run -s p -l publish -x -d 'Lead a port of the host to the guest'
complete -c sluice -n __sluice_in_run -l host-loopback -d 'The gateway leads to the host\'s loopback'
complete -c sluice -n __sluice_in_run -l deny -x -d 'Refuse these targets'
complete -c sluice -n __sluice_in_run -l allow -x -d 'Permit these targets'
complete -c sluice -n __sluice_in_run -l max-flows -x -d 'Flows at a time'
complete -c sluice -n __sluice_in_run -l new-flows-per-second -x -d 'New flows in any second'
complete -c sluice -n __sluice_in_run -l report -d 'Print whom the command talked to'
complete -c sluice -n __sluice_in_run -a '--report=text --report=json'
complete -c sluice -n __sluice_in_run -l report-file -r -F -d 'Print the report there'
complete -c sluice -n __sluice_in_run -l flow-log -r -F -d 'Append a line of JSON for each flow'
complete -c sluice -n __sluice_in_run -l pcap -r -F -d 'Capture every frame'
complete -c sluice -n __sluice_in_run -l trace -x -a 'crr' -d 'Print where the time of connect cycles went'
complete -c sluice -n __sluice_in_run -l log-level -x -a 'error warn info debug trace' -d 'Messages'
complete -c sluice -n __sluice_in_run -s v -l verbose -d 'The same as --log-level info'
complete -c sluice -n __sluice_in_run -l pid -d 'A PID namespace too'
complete -c sluice -n __sluice_in_run -s h -l help -d 'Print the help'
complete -c sluice -n __sluice_in_run -s V -l version -d 'Print the version'
complete -c sluice -n __sluice_in_run -a '(__fish_complete_subcommand --fcs-skip=2)'
