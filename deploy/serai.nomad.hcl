# A system job: Serai on ports 80 of every node. Needs a checkout of Serai in /opt/serai on the nodes and the raw_exec driver.
job "serai" {
  type = "system"

  group "ingress" {
    network {
      port "http" { static = 80 }
      port "health" { static = 9081 }
    }

    # The balancer moves away during lame duck, so the task gets that time and the drain's before it is killed.
    task "serai" {
      driver       = "raw_exec"
      kill_signal  = "SIGTERM"
      kill_timeout = "30s" # clients cap this by max_kill_timeout (30s by default)

      config {
        command = "/opt/serai/node_modules/.bin/node"
        args    = ["/opt/serai/src/main.ts", "run", "--config", "${NOMAD_TASK_DIR}/serai.yaml"]
      }

      template {
        destination = "local/serai.yaml"
        change_mode = "noop" # Serai watches it
        data        = <<-YAML
          listeners: { http: { address: ":80" } }
          health:    { address: ":9081" }
          catalogs:  { file: { path: services.yaml } }
          state:     { path: state }
        YAML
      }

      # Every service of the namespace with its tags; Serai routes those that have serai.* tags.
      template {
        destination = "local/services.yaml"
        change_mode = "noop"
        data        = <<-YAML
          services:
          {{- range nomadServices }}{{ $name := .Name }}
            - name: {{ $name | toJSON }}
              instances:
              {{- range nomadService $name }}
                - { address: {{ printf "%s:%d" .Address .Port | toJSON }}, tags: {{ .Tags | toJSON }} }
              {{- end }}
          {{- else }} []
          {{- end }}
        YAML
      }

      resources {
        cpu    = 500
        memory = 512
      }

      service {
        name     = "serai"
        provider = "nomad"
        port     = "health"
        check {
          type     = "http"
          path     = "/live"
          interval = "10s"
          timeout  = "2s"
        }
      }
    }
  }
}
