# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_stayput_global_optspecs
    string join \n c/config= v/verbose q/quiet log-format= color= h/help V/version
end

function __fish_stayput_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_stayput_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_stayput_using_subcommand
    set -l cmd (__fish_stayput_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c stayput -n "__fish_stayput_needs_command" -s c -l config -d 'The configuration file [default: $STAYPUT_CONFIG, else /etc/stayput/stayput.toml]' -r -F
complete -c stayput -n "__fish_stayput_needs_command" -l log-format -d 'How the log is written' -r -f -a "auto\t'journal where standard error is the journal, else text'
text\t'lines for people'
json\t'one JSON object a line'
journal\t'lines with a priority in front'"
complete -c stayput -n "__fish_stayput_needs_command" -l color -d 'When colours are used' -r -f -a "auto\t'on a terminal, unless NO_COLOR is set'
always\t'also into files'
never\t'nowhere'"
complete -c stayput -n "__fish_stayput_needs_command" -s v -l verbose -d 'Log every request; twice: headers and bodies too'
complete -c stayput -n "__fish_stayput_needs_command" -s q -l quiet -d 'Log warnings and errors only'
complete -c stayput -n "__fish_stayput_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c stayput -n "__fish_stayput_needs_command" -s V -l version -d 'Print version'
complete -c stayput -n "__fish_stayput_needs_command" -f -a "run" -d 'Keep the names pointed at this host, for ever'
complete -c stayput -n "__fish_stayput_needs_command" -f -a "once" -d 'Do it once: look, compare, send, confirm'
complete -c stayput -n "__fish_stayput_needs_command" -f -a "plan" -d 'Show what `once` would send, and send nothing'
complete -c stayput -n "__fish_stayput_needs_command" -f -a "check" -d 'Check the configuration, the secret, the permissions, the zones, the clock and the network'
complete -c stayput -n "__fish_stayput_needs_command" -f -a "detect" -d 'Ask every source and show what each says, what is believed and why'
complete -c stayput -n "__fish_stayput_needs_command" -f -a "status" -d 'Show what the running daemon knows'
complete -c stayput -n "__fish_stayput_needs_command" -f -a "schema" -d 'Print the JSON Schema of the configuration file'
complete -c stayput -n "__fish_stayput_needs_command" -f -a "sandbox" -d 'Serve a simulated Cloudflare on loopback; prints its base URL'
complete -c stayput -n "__fish_stayput_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c stayput -n "__fish_stayput_using_subcommand run" -l fault -d 'With --sandbox, something that goes wrong: NAME[:COUNT|:PERCENT%][=VALUE]; may be said again' -r
complete -c stayput -n "__fish_stayput_using_subcommand run" -s c -l config -d 'The configuration file [default: $STAYPUT_CONFIG, else /etc/stayput/stayput.toml]' -r -F
complete -c stayput -n "__fish_stayput_using_subcommand run" -l log-format -d 'How the log is written' -r -f -a "auto\t'journal where standard error is the journal, else text'
text\t'lines for people'
json\t'one JSON object a line'
journal\t'lines with a priority in front'"
complete -c stayput -n "__fish_stayput_using_subcommand run" -l color -d 'When colours are used' -r -f -a "auto\t'on a terminal, unless NO_COLOR is set'
always\t'also into files'
never\t'nowhere'"
complete -c stayput -n "__fish_stayput_using_subcommand run" -l sandbox -d 'Against a simulated Cloudflare inside this process, with addresses that change by themselves'
complete -c stayput -n "__fish_stayput_using_subcommand run" -s v -l verbose -d 'Log every request; twice: headers and bodies too'
complete -c stayput -n "__fish_stayput_using_subcommand run" -s q -l quiet -d 'Log warnings and errors only'
complete -c stayput -n "__fish_stayput_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c stayput -n "__fish_stayput_using_subcommand once" -s c -l config -d 'The configuration file [default: $STAYPUT_CONFIG, else /etc/stayput/stayput.toml]' -r -F
complete -c stayput -n "__fish_stayput_using_subcommand once" -l log-format -d 'How the log is written' -r -f -a "auto\t'journal where standard error is the journal, else text'
text\t'lines for people'
json\t'one JSON object a line'
journal\t'lines with a priority in front'"
complete -c stayput -n "__fish_stayput_using_subcommand once" -l color -d 'When colours are used' -r -f -a "auto\t'on a terminal, unless NO_COLOR is set'
always\t'also into files'
never\t'nowhere'"
complete -c stayput -n "__fish_stayput_using_subcommand once" -l sandbox -d 'Against a simulated Cloudflare inside this process'
complete -c stayput -n "__fish_stayput_using_subcommand once" -s v -l verbose -d 'Log every request; twice: headers and bodies too'
complete -c stayput -n "__fish_stayput_using_subcommand once" -s q -l quiet -d 'Log warnings and errors only'
complete -c stayput -n "__fish_stayput_using_subcommand once" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c stayput -n "__fish_stayput_using_subcommand plan" -s c -l config -d 'The configuration file [default: $STAYPUT_CONFIG, else /etc/stayput/stayput.toml]' -r -F
complete -c stayput -n "__fish_stayput_using_subcommand plan" -l log-format -d 'How the log is written' -r -f -a "auto\t'journal where standard error is the journal, else text'
text\t'lines for people'
json\t'one JSON object a line'
journal\t'lines with a priority in front'"
complete -c stayput -n "__fish_stayput_using_subcommand plan" -l color -d 'When colours are used' -r -f -a "auto\t'on a terminal, unless NO_COLOR is set'
always\t'also into files'
never\t'nowhere'"
complete -c stayput -n "__fish_stayput_using_subcommand plan" -l json -d 'Print the plan as JSON'
complete -c stayput -n "__fish_stayput_using_subcommand plan" -l exit-code -d 'Exit with 2 if there are changes'
complete -c stayput -n "__fish_stayput_using_subcommand plan" -l sandbox -d 'Against a simulated Cloudflare inside this process'
complete -c stayput -n "__fish_stayput_using_subcommand plan" -s v -l verbose -d 'Log every request; twice: headers and bodies too'
complete -c stayput -n "__fish_stayput_using_subcommand plan" -s q -l quiet -d 'Log warnings and errors only'
complete -c stayput -n "__fish_stayput_using_subcommand plan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c stayput -n "__fish_stayput_using_subcommand check" -s c -l config -d 'The configuration file [default: $STAYPUT_CONFIG, else /etc/stayput/stayput.toml]' -r -F
complete -c stayput -n "__fish_stayput_using_subcommand check" -l log-format -d 'How the log is written' -r -f -a "auto\t'journal where standard error is the journal, else text'
text\t'lines for people'
json\t'one JSON object a line'
journal\t'lines with a priority in front'"
complete -c stayput -n "__fish_stayput_using_subcommand check" -l color -d 'When colours are used' -r -f -a "auto\t'on a terminal, unless NO_COLOR is set'
always\t'also into files'
never\t'nowhere'"
complete -c stayput -n "__fish_stayput_using_subcommand check" -l offline -d 'Check the configuration only; nothing is asked of anybody'
complete -c stayput -n "__fish_stayput_using_subcommand check" -l json -d 'Print the findings as JSON'
complete -c stayput -n "__fish_stayput_using_subcommand check" -l sandbox -d 'Against a simulated Cloudflare inside this process'
complete -c stayput -n "__fish_stayput_using_subcommand check" -s v -l verbose -d 'Log every request; twice: headers and bodies too'
complete -c stayput -n "__fish_stayput_using_subcommand check" -s q -l quiet -d 'Log warnings and errors only'
complete -c stayput -n "__fish_stayput_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c stayput -n "__fish_stayput_using_subcommand detect" -s c -l config -d 'The configuration file [default: $STAYPUT_CONFIG, else /etc/stayput/stayput.toml]' -r -F
complete -c stayput -n "__fish_stayput_using_subcommand detect" -l log-format -d 'How the log is written' -r -f -a "auto\t'journal where standard error is the journal, else text'
text\t'lines for people'
json\t'one JSON object a line'
journal\t'lines with a priority in front'"
complete -c stayput -n "__fish_stayput_using_subcommand detect" -l color -d 'When colours are used' -r -f -a "auto\t'on a terminal, unless NO_COLOR is set'
always\t'also into files'
never\t'nowhere'"
complete -c stayput -n "__fish_stayput_using_subcommand detect" -l json -d 'Print the findings as JSON'
complete -c stayput -n "__fish_stayput_using_subcommand detect" -l sandbox -d 'Against the echoes of a simulated Cloudflare inside this process'
complete -c stayput -n "__fish_stayput_using_subcommand detect" -s v -l verbose -d 'Log every request; twice: headers and bodies too'
complete -c stayput -n "__fish_stayput_using_subcommand detect" -s q -l quiet -d 'Log warnings and errors only'
complete -c stayput -n "__fish_stayput_using_subcommand detect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c stayput -n "__fish_stayput_using_subcommand status" -s c -l config -d 'The configuration file [default: $STAYPUT_CONFIG, else /etc/stayput/stayput.toml]' -r -F
complete -c stayput -n "__fish_stayput_using_subcommand status" -l log-format -d 'How the log is written' -r -f -a "auto\t'journal where standard error is the journal, else text'
text\t'lines for people'
json\t'one JSON object a line'
journal\t'lines with a priority in front'"
complete -c stayput -n "__fish_stayput_using_subcommand status" -l color -d 'When colours are used' -r -f -a "auto\t'on a terminal, unless NO_COLOR is set'
always\t'also into files'
never\t'nowhere'"
complete -c stayput -n "__fish_stayput_using_subcommand status" -l json -d 'Print it as JSON'
complete -c stayput -n "__fish_stayput_using_subcommand status" -l healthy -d 'Say nothing and exit with 0, unless a record has not been as it should be for ten minutes, or no daemon answers'
complete -c stayput -n "__fish_stayput_using_subcommand status" -s v -l verbose -d 'Log every request; twice: headers and bodies too'
complete -c stayput -n "__fish_stayput_using_subcommand status" -s q -l quiet -d 'Log warnings and errors only'
complete -c stayput -n "__fish_stayput_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c stayput -n "__fish_stayput_using_subcommand schema" -s c -l config -d 'The configuration file [default: $STAYPUT_CONFIG, else /etc/stayput/stayput.toml]' -r -F
complete -c stayput -n "__fish_stayput_using_subcommand schema" -l log-format -d 'How the log is written' -r -f -a "auto\t'journal where standard error is the journal, else text'
text\t'lines for people'
json\t'one JSON object a line'
journal\t'lines with a priority in front'"
complete -c stayput -n "__fish_stayput_using_subcommand schema" -l color -d 'When colours are used' -r -f -a "auto\t'on a terminal, unless NO_COLOR is set'
always\t'also into files'
never\t'nowhere'"
complete -c stayput -n "__fish_stayput_using_subcommand schema" -s v -l verbose -d 'Log every request; twice: headers and bodies too'
complete -c stayput -n "__fish_stayput_using_subcommand schema" -s q -l quiet -d 'Log warnings and errors only'
complete -c stayput -n "__fish_stayput_using_subcommand schema" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c stayput -n "__fish_stayput_using_subcommand sandbox" -l port -d 'The port on loopback [default: any free one]' -r
complete -c stayput -n "__fish_stayput_using_subcommand sandbox" -l zone -d 'A zone that it holds; may be said again [default: three examples]' -r
complete -c stayput -n "__fish_stayput_using_subcommand sandbox" -l fault -d 'Something that goes wrong: NAME[:COUNT|:PERCENT%][=VALUE]; may be said again' -r
complete -c stayput -n "__fish_stayput_using_subcommand sandbox" -l address -d 'The address that its echoes tell; may be said again for the other family' -r
complete -c stayput -n "__fish_stayput_using_subcommand sandbox" -s c -l config -d 'The configuration file [default: $STAYPUT_CONFIG, else /etc/stayput/stayput.toml]' -r -F
complete -c stayput -n "__fish_stayput_using_subcommand sandbox" -l log-format -d 'How the log is written' -r -f -a "auto\t'journal where standard error is the journal, else text'
text\t'lines for people'
json\t'one JSON object a line'
journal\t'lines with a priority in front'"
complete -c stayput -n "__fish_stayput_using_subcommand sandbox" -l color -d 'When colours are used' -r -f -a "auto\t'on a terminal, unless NO_COLOR is set'
always\t'also into files'
never\t'nowhere'"
complete -c stayput -n "__fish_stayput_using_subcommand sandbox" -s v -l verbose -d 'Log every request; twice: headers and bodies too'
complete -c stayput -n "__fish_stayput_using_subcommand sandbox" -s q -l quiet -d 'Log warnings and errors only'
complete -c stayput -n "__fish_stayput_using_subcommand sandbox" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c stayput -n "__fish_stayput_using_subcommand help; and not __fish_seen_subcommand_from run once plan check detect status schema sandbox help" -f -a "run" -d 'Keep the names pointed at this host, for ever'
complete -c stayput -n "__fish_stayput_using_subcommand help; and not __fish_seen_subcommand_from run once plan check detect status schema sandbox help" -f -a "once" -d 'Do it once: look, compare, send, confirm'
complete -c stayput -n "__fish_stayput_using_subcommand help; and not __fish_seen_subcommand_from run once plan check detect status schema sandbox help" -f -a "plan" -d 'Show what `once` would send, and send nothing'
complete -c stayput -n "__fish_stayput_using_subcommand help; and not __fish_seen_subcommand_from run once plan check detect status schema sandbox help" -f -a "check" -d 'Check the configuration, the secret, the permissions, the zones, the clock and the network'
complete -c stayput -n "__fish_stayput_using_subcommand help; and not __fish_seen_subcommand_from run once plan check detect status schema sandbox help" -f -a "detect" -d 'Ask every source and show what each says, what is believed and why'
complete -c stayput -n "__fish_stayput_using_subcommand help; and not __fish_seen_subcommand_from run once plan check detect status schema sandbox help" -f -a "status" -d 'Show what the running daemon knows'
complete -c stayput -n "__fish_stayput_using_subcommand help; and not __fish_seen_subcommand_from run once plan check detect status schema sandbox help" -f -a "schema" -d 'Print the JSON Schema of the configuration file'
complete -c stayput -n "__fish_stayput_using_subcommand help; and not __fish_seen_subcommand_from run once plan check detect status schema sandbox help" -f -a "sandbox" -d 'Serve a simulated Cloudflare on loopback; prints its base URL'
complete -c stayput -n "__fish_stayput_using_subcommand help; and not __fish_seen_subcommand_from run once plan check detect status schema sandbox help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
